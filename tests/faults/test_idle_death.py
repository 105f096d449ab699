"""Rows 1, 3, 4, 11 and 15: a warm connection that died while nobody looked is replaced, and nobody notices."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, text

from db import Database
from db.protocol.connection import Connection as DriverConnection
from local.postgres import PostgresServer
from tests.faults.proxy import Action, Proxy
from tests.faults.server import backends, terminate, wait_until
from tests.noticing import Noticed

SILENCE_S = 2.0


def ask(database: Database) -> int:
    """Run a transaction of one statement."""
    with database.transaction() as connection:
        answer: int = connection.scalar(text("select 1"))
    return answer


def flights(proxy: Proxy, work: Callable[[], object]) -> int:
    before = proxy.traffic()
    work()
    return (proxy.traffic() - before).flights


def test_a_healthy_borrow_costs_no_flight_more_than_its_statements(proxied: Database, proxy: Proxy) -> None:
    """Row 1: nothing is spent on asking whether the server is there: one flight a statement, one for COMMIT."""
    ask(proxied)
    connect = 0 if proxied.settings.pool_size else 1  # the login ends in the first statement's flight

    def read() -> None:
        with proxied.autocommit() as connection:
            connection.execute(text("select 1"))

    assert flights(proxy, lambda: ask(proxied)) == 2 + connect
    assert flights(proxy, read) == 1 + connect


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_restart_while_idle_is_invisible(
    make_database: Callable[..., Database],
    fault_server: PostgresServer,
    pool_size: int,
    mode: str,
    noticed: Noticed,
) -> None:
    """Rows 1 and 2: the next borrow finds the new server by itself."""
    database = make_database(fault_server.url(), pool_size=pool_size)
    ask(database)
    fault_server.restart(mode)
    with noticed.within(database.settings.silence_s, 1):
        assert ask(database) == 1


def test_a_terminated_idle_session_is_invisible(
    proxied: Database, proxy: Proxy, postgres: PostgresServer, noticed: Noticed
) -> None:
    """Row 3: 57P01 has arrived when the borrow begins; no flight is spent on the dead session."""
    with proxied.autocommit() as connection:
        connection.execute(text("select 1"))
        session: Any = connection.connection.dbapi_connection
    terminate(postgres, "application_name = 'proxied'")
    if proxied.settings.pool_size:
        wait_until(session.transport().has_news)
    bursts = [link.traffic().bursts for link in proxy.links]
    with noticed.within(SILENCE_S, 3):
        assert ask(proxied) == 1
    assert [link.traffic().bursts for link in proxy.links[: len(bursts)]] == bursts


def test_a_session_that_idled_too_long_is_invisible(
    make_database: Callable[..., Database], postgres: PostgresServer, proxy: Proxy, noticed: Noticed
) -> None:
    """Row 4: 57P05 has arrived when the borrow begins; the connect is all that it costs."""
    url = postgres.url(port=proxy.port)
    database = make_database(url, pool_size=1, application_name="idles")
    ask(database)  # a lease has been granted now, and the next is not due for a while
    with database.autocommit() as connection:
        session = shorten_idle_time(connection)
    wait_until(lambda: not backends(postgres, "application_name = 'idles'"))
    wait_until(session.transport().has_news)
    bursts = proxy.links[0].traffic().bursts
    with noticed.within(database.settings.silence_s, 4):
        assert ask(database) == 1
    assert proxy.links[0].traffic().bursts == bursts


def test_the_slot_of_a_session_that_idles_is_free_when_its_lease_ends(
    make_database: Callable[..., Database], postgres: PostgresServer, noticed: Noticed
) -> None:
    """Row 4: an environment that is not invoked again keeps no slot longer than the server was told; nobody minds."""
    database = make_database(postgres.url(), pool_size=1, application_name="leases", lease_s=2.0)
    with database.autocommit():
        pass  # the connection is open, and no statement has carried home that slots are plenty
    noticed(4, wait_until(lambda: not backends(postgres, "application_name = 'leases'")), database.settings.lease_s)
    assert ask(database) == 1


def shorten_idle_time(connection: Connection) -> DriverConnection:
    """Set it below SQLAlchemy, where nobody sees that it has to be cleaned up; return the session."""
    session = connection.connection.dbapi_connection
    assert isinstance(session, DriverConnection)
    session.execute_simple("set idle_session_timeout = '1s'")
    return session


@pytest.mark.parametrize("action", [Action.RESET, Action.CLOSE])
def test_a_cut_idle_connection_is_invisible(proxied: Database, proxy: Proxy, action: Action, noticed: Noticed) -> None:
    """Row 11: RST or FIN has arrived when the borrow begins."""
    ask(proxied)
    proxy.end(action)
    with noticed.within(SILENCE_S, 11):
        assert ask(proxied) == 1


@pytest.mark.parametrize("silence_s", [SILENCE_S])
def test_a_half_open_connection_is_noticed_within_the_bound(proxied: Database, proxy: Proxy, noticed: Noticed) -> None:
    """Row 12: the first flight waits for a sign of life no longer than the bound, and is sent again."""
    ask(proxied)
    proxy.end(Action.SWALLOW)
    with noticed.within(SILENCE_S, 12):
        assert ask(proxied) == 1


@pytest.mark.parametrize("silence_s", [3.0])
def test_a_slow_statement_is_not_taken_for_a_dead_server(proxied: Database) -> None:
    """Row 12: a statement that takes longer than the bound gives its sign of life and is waited for."""
    with proxied.transaction() as connection:
        assert connection.scalar(text("select 1 from pg_sleep(3.5)")) == 1
    with proxied.autocommit() as connection:
        assert connection.scalar(text("select 1 from pg_sleep(3.5)")) == 1
