"""Row 20: what a handler leaves in the session is gone before the next one has it."""

import time
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Connection, text

from db import CommitUnknownError, Database
from db.protocol.connection import Connection as DriverConnection
from local.postgres import PostgresServer
from tests.faults.observed import Facts, observed
from tests.faults.proxy import Action, Fault, Proxy
from tests.noticing import Noticed


@pytest.fixture
def database(postgres: PostgresServer, pool_size: int) -> Iterator[Database]:
    with observed(postgres, pool_size, Facts()) as database:
        yield database


def test_a_session_that_is_lost_is_not_cleaned(
    make_database: Callable[..., Database],
    postgres: PostgresServer,
    pool_size: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Row 20: what was left in it is gone with it, and nobody is alarmed."""
    with Proxy(postgres.port) as proxy:
        url = postgres.url(port=proxy.port)
        lost = make_database(url, pool_size=pool_size)
        with pytest.raises(CommitUnknownError), lost.autocommit() as connection:
            connection.execute(text("set work_mem = '1MB'"))
            proxy.inject(Fault(Action.RESET))
            connection.execute(text("create table if not exists left_behind (n int)"))
        assert lost.pool_state().borrowed == 0
    assert not caplog.records


RESIDUES = {
    "set": ("set work_mem = '123kB'", "select current_setting('work_mem') = '123kB'"),
    "set role": ("set role pg_monitor", "select current_user = 'pg_monitor'"),
    "temporary table": ("create temp table mine (n int)", "select count(*) > 0 from pg_class where relname = 'mine'"),
    "advisory lock": (
        "select pg_advisory_lock(4711)",
        "select count(*) > 0 from pg_locks where locktype = 'advisory' and objid = 4711",
    ),
    "table in pg_temp": (
        "create table pg_temp.mine (n int)",
        "select count(*) > 0 from pg_class where relname = 'mine'",
    ),
    "update of settings": (
        "update pg_settings set setting = '2' where name = 'extra_float_digits'",
        "select current_setting('extra_float_digits') = '2'",
    ),
    "listen": ("listen news", "select count(*) > 0 from pg_listening_channels()"),
    "cursor": ("declare c cursor with hold for select 1", "select count(*) > 0 from pg_cursors"),
    "prepared": ("prepare p as select 1", "select count(*) > 0 from pg_prepared_statements"),
}


@pytest.mark.parametrize(("leave", "is_there"), RESIDUES.values(), ids=RESIDUES)
@pytest.mark.parametrize("mode", ["transaction", "autocommit"])
def test_the_next_borrower_meets_nothing_of_the_last(
    database: Database, leave: str, is_there: str, mode: str, noticed: Noticed
) -> None:
    """Row 20: session state ends with the borrow, committed or not."""
    with getattr(database, mode)() as connection:
        connection.execute(text(leave))
        assert connection.scalar(text(is_there)) or mode == "transaction"  # LISTEN takes effect at COMMIT
    with noticed.within(database.settings.silence_s, 20), database.transaction() as connection:
        assert not connection.scalar(text(is_there))


def test_the_next_borrower_is_not_told_what_the_last_one_was(database: Database) -> None:
    """Row 20: a notice may quote what the last one worked with, and a notification was his."""
    with database.autocommit() as connection:
        session = _session(connection)
        connection.exec_driver_sql("listen news; do $$ begin raise notice 'yours'; end $$")
        connection.exec_driver_sql("notify news, 'yours'")
        assert (len(session.notices), len(session.notifications)) == (1, 1)
    with database.transaction() as connection:
        session = _session(connection)
        assert (len(session.notices), len(session.notifications)) == (0, 0)


def _session(connection: Connection) -> DriverConnection:
    session = connection.connection.dbapi_connection
    assert isinstance(session, DriverConnection)
    return session


@pytest.mark.parametrize("silence_s", [2.0])
def test_a_session_that_cannot_be_cleaned_is_given_up_within_the_bound(
    proxied: Database, proxy: Proxy, noticed: Noticed
) -> None:
    """Row 20: the way to it falls silent before the cleaning; the borrow ends, and the next one has another session."""
    with proxied.autocommit() as connection:
        connection.execute(text("set work_mem = '123kB'"))
        proxy.end(Action.SWALLOW)
        left_at = time.monotonic()
    noticed(20, time.monotonic() - left_at, proxied.settings.silence_s)
    with proxied.autocommit() as connection:
        assert connection.scalar(text("select current_setting('work_mem') <> '123kB'"))


def test_cleaning_costs_no_flight_where_nothing_was_left(
    postgres: PostgresServer, make_database: Callable[..., Database]
) -> None:
    """Row 20: a borrow that leaves nothing pays nothing; one that does pays one flight, and keeps its connection."""
    with Proxy(postgres.port) as proxy:
        url = postgres.url().replace(str(postgres.port), str(proxy.port))
        database = make_database(url, pool_size=1)

        def flights(statement: str) -> int:
            before = proxy.traffic()
            with database.autocommit() as connection:
                connection.execute(text(statement))
            return (proxy.traffic() - before).flights

        flights("select 1")
        clean, dirty = flights("select 1"), flights("set work_mem = '1MB'")
        database.close()
    assert dirty == clean + 1
    assert proxy.traffic().connections == 1
