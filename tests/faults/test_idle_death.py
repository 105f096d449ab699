"""Rows 1, 3, 4, 11 and 15: a warm connection that died while nobody looked is replaced, and nobody notices."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, text

from db import Database
from local.postgres import PostgresServer
from tests.faults.proxy import Action, Proxy
from tests.faults.server import backends, terminate, wait_until


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
    make_database: Callable[..., Database], fault_server: PostgresServer, pool_size: int, mode: str
) -> None:
    """Rows 1 and 2: the next borrow finds the new server by itself."""
    database = make_database(fault_server.url(), pool_size=pool_size)
    ask(database)
    fault_server.restart(mode)
    assert ask(database) == 1


def test_a_terminated_idle_session_is_invisible(proxied: Database, proxy: Proxy, postgres: PostgresServer) -> None:
    """Row 3: 57P01 has arrived when the borrow begins; no flight is spent on the dead session."""
    ask(proxied)
    terminate(postgres, "application_name = 'proxied'")
    bursts = [link.traffic().bursts for link in proxy.links]
    assert ask(proxied) == 1
    assert [link.traffic().bursts for link in proxy.links[: len(bursts)]] == bursts


def test_a_session_that_idled_too_long_is_invisible(
    make_database: Callable[..., Database], postgres: PostgresServer, proxy: Proxy
) -> None:
    """Row 4: 57P05 has arrived when the borrow begins; the connect is all that it costs."""
    url = postgres.url().replace(f":{postgres.port}/", f":{proxy.port}/")
    database = make_database(url, pool_size=1, application_name="idles")
    ask(database)  # a lease has been granted now, and the next is not due for a while
    with database.autocommit() as connection:
        shorten_idle_time(connection)
    wait_until(lambda: not backends(postgres, "application_name = 'idles'"))
    bursts = proxy.links[0].traffic().bursts
    assert ask(database) == 1
    assert proxy.links[0].traffic().bursts == bursts


def shorten_idle_time(connection: Connection) -> None:
    """Set it below SQLAlchemy, where nobody sees that it has to be cleaned up."""
    session: Any = connection.connection.dbapi_connection
    session.execute_simple("set idle_session_timeout = '100ms'")


@pytest.mark.parametrize("action", [Action.RESET, Action.CLOSE])
def test_a_cut_idle_connection_is_invisible(proxied: Database, proxy: Proxy, action: Action) -> None:
    """Row 11: RST or FIN has arrived when the borrow begins."""
    ask(proxied)
    proxy.end(action)
    assert ask(proxied) == 1


def test_a_half_open_connection_is_noticed_within_the_bound(
    proxied: Database, proxy: Proxy, noticed: Callable[[int, float, float], None]
) -> None:
    """Row 12: the first flight waits for a sign of life no longer than the bound, and is sent again."""
    ask(proxied)
    proxy.end(Action.SWALLOW)
    began = time.monotonic()
    assert ask(proxied) == 1
    noticed(12, time.monotonic() - began, proxied.settings.silence_s)


def test_a_slow_statement_is_not_taken_for_a_dead_server(proxied: Database) -> None:
    """Row 12: a statement that takes longer than the bound gives its sign of life and is waited for."""
    with proxied.transaction() as connection:
        assert connection.scalar(text("select 1 from pg_sleep(1.2)")) == 1
    with proxied.autocommit() as connection:
        assert connection.scalar(text("select 1 from pg_sleep(1.2)")) == 1
