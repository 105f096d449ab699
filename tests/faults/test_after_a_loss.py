"""Rows 11, 12, 16 and 22: what a lost session leaves to the next: no reply, no lock, no limit, no second session."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, text

from db import Database
from local.postgres import PostgresServer
from tests.faults.lost_work import SILENCE_S, Once, insert
from tests.faults.proxy import Action, Direction, Fault, Proxy
from tests.faults.server import backends, run, wait_until
from tests.noticing import Noticed

pytestmark = pytest.mark.usefixtures("lost_in_work")


def test_a_new_session_is_told_the_time_that_is_left(
    make_database: Callable[..., Database], postgres: PostgresServer, proxy: Proxy
) -> None:
    """Row 12: what it says of its limit afterwards is what the server knows."""
    url = postgres.url(port=proxy.port)
    database = make_database(url, pool_size=1, silence_s=SILENCE_S)
    with database.invocation(20_000), database.transaction() as connection:
        connection.execute(text("select 1"))
    with database.invocation(10_000), database.transaction() as connection:
        proxy.end(Action.SWALLOW)
        connection.execute(text("select 1"))
        session: Any = connection.connection.dbapi_connection
        limit = session.time_limit
        [[told]] = session.execute_simple("select setting from pg_settings where name = 'statement_timeout'").rows
        assert int(told) == (limit._said_ms or limit._session_ms)


def test_a_later_borrower_never_reads_an_earlier_reply(proxied: Database, proxy: Proxy, noticed: Noticed) -> None:
    """Row 22: whatever byte of a reply the stream ends at, the next borrower gets its own rows."""
    with proxied.autocommit() as connection:
        connection.execute(text("select 1"))
    before = proxy.traffic().to_client
    with proxied.autocommit() as connection:
        connection.execute(text("select 'mine' from generate_series(1, 3)")).all()
    length = proxy.traffic().to_client - before
    for after_bytes in range(0, min(length, 300), 7):
        with proxied.autocommit() as connection, noticed.within(SILENCE_S, 22):
            proxy.inject(Fault(Action.RESET, after_bytes=after_bytes))
            connection.execute(text("select 'mine' from lost_in_work")).all()
        with proxied.autocommit() as connection:
            assert connection.scalar(text("select 'yours'")) == "yours"


def test_a_dead_backend_leaves_no_session_behind(proxied: Database, postgres: PostgresServer, proxy: Proxy) -> None:
    """Row 11: what replaces a dead connection is one connection, not two."""
    insert(proxied)
    proxy.end()
    insert(proxied)
    wait_until(lambda: len(backends(postgres, "application_name = 'proxied'")) <= 1)


@pytest.mark.parametrize("silence_s", [1.0])
def test_the_locks_of_a_half_sent_flight_stop_nobody(
    proxied: Database, postgres: PostgresServer, proxy: Proxy, noticed: Noticed
) -> None:
    """Rows 12 and 16: the server has got a part of a flight; it waits for the rest, with locks and without time-out."""
    run(postgres, "insert into lost_in_work values (0)")
    breaks = Once(lambda: proxy.inject(Fault(Action.SWALLOW, Direction.TO_SERVER, after_bytes=30)))

    def work(connection: Connection) -> None:
        connection.execute(text("update lost_in_work set n = n + 1"))
        breaks()
        connection.execute(text("update lost_in_work set n = n + 1"))

    with noticed.within(2.0, 16), proxied.invocation(10_000):
        proxied.run_transaction(work)
    assert run(postgres, "select n from lost_in_work") == [(2,)]
