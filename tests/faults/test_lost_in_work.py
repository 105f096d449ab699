"""Rows 2, 3, 11, 12 and 14: a connection that dies at work; nothing is lost, and nothing done twice."""

from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from typing import Any

import pytest
from pg8000 import dbapi
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, PendingRollbackError
from sqlalchemy.orm import Session

from db import ConnectionLostError, Database, DeadlineExceededError
from local.postgres import PostgresServer
from tests.faults.lost_work import ENDS, INSERT, SILENCE_S, LostInWork, Once, applied, insert
from tests.faults.proxy import Action, Direction, Fault, Proxy
from tests.faults.server import crash_backend, run, terminate
from tests.noticing import Noticed

pytestmark = pytest.mark.usefixtures("lost_in_work")

SILENT_FOR = {end: SILENCE_S if end == "silence" else 10.0 for end in ENDS}
ROWS = {"57P01": 3, "RST": 11, "FIN": 11, "silence": 12}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("silence_s", [SILENCE_S])
def test_work_is_repeated_when_the_connection_dies_in_it(
    proxied: Database, postgres: PostgresServer, proxy: Proxy, end: str, noticed: Noticed
) -> None:
    """Rows 3, 11 and 12: between two statements of run_transaction; the work runs again, its first run left nothing."""
    dies = Once(lambda: ENDS[end](postgres, proxy))

    def work(connection: Connection) -> int:
        connection.execute(INSERT)
        dies()
        connection.execute(INSERT)
        return dies.calls

    with noticed.within(SILENCE_S, ROWS[end]):
        assert proxied.run_transaction(work) == 2
    assert applied(postgres) == 2


@pytest.mark.parametrize(("end", "silence_s"), SILENT_FOR.items())
def test_a_transaction_that_dies_ends_in_a_typed_error(
    proxied: Database, postgres: PostgresServer, proxy: Proxy, end: str
) -> None:
    """Rows 3, 11 and 12: without run_transaction its results have been seen, so the handler is told; nothing stays."""
    with pytest.raises(ConnectionLostError), proxied.transaction() as connection:
        connection.execute(INSERT)
        ENDS[end](postgres, proxy)
        connection.execute(INSERT)
    assert applied(postgres) == 0
    insert(proxied)
    assert applied(postgres) == 1


def test_a_handler_that_goes_on_without_its_connection_is_told_again(
    proxied: Database, postgres: PostgresServer, proxy: Proxy
) -> None:
    """Row 11: an error that was swallowed does not become a commit of half the work."""
    with pytest.raises(ConnectionLostError), proxied.transaction() as connection:
        connection.execute(INSERT)
        proxy.end()
        with pytest.raises(DBAPIError):
            connection.execute(INSERT)
    assert applied(postgres) == 0


def test_a_handler_that_goes_on_with_its_session_is_told_again(
    proxied: Database, postgres: PostgresServer, proxy: Proxy
) -> None:
    """Row 11: the same through the ORM, where it is a flush that is lost."""
    with pytest.raises(ConnectionLostError), proxied.session() as session:
        session.add(LostInWork(n=1))
        session.flush()
        proxy.end()
        session.add(LostInWork(n=2))
        with pytest.raises(DBAPIError):
            session.flush()
        session.execute(text("select 1"))
    assert applied(postgres) == 0


def _goes_on_after_a_flush_that_failed(connection: Connection) -> None:
    with Session(connection) as session:
        session.add(LostInWork(n=None))
        with suppress(IntegrityError):
            session.flush()
        session.execute(text("select 1"))


BUGS: dict[type[Exception], Callable[[Connection], object]] = {
    OperationalError: lambda connection: connection.exec_driver_sql("select %s::int", (1, 2)),
    InterfaceError: lambda connection: connection.exec_driver_sql("copy lost_in_work (n) from stdin"),
    PendingRollbackError: _goes_on_after_a_flush_that_failed,
}


@pytest.mark.parametrize("expected", BUGS)
def test_a_bug_is_not_taken_for_a_loss(proxied: Database, expected: type[Exception]) -> None:
    """A wrong number of values, COPY without its data, a flush that failed: told as they are, and not run again."""
    runs = []

    def work(connection: Connection) -> None:
        runs.append(1)
        BUGS[expected](connection)

    with pytest.raises(expected):
        proxied.run_transaction(work)
    insert(proxied)
    assert len(runs) == 1


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize(("action", "silence_s"), [(Action.RESET, 10.0), (Action.SWALLOW, SILENCE_S)])
def test_a_handlers_own_error_is_not_hidden_by_a_loss(
    proxied: Database, postgres: PostgresServer, proxy: Proxy, error: type[BaseException], action: Action
) -> None:
    """Rows 11 and 12: the server rolls back by itself; the work is not run again for it, nor is anything committed."""
    runs = []

    def work(connection: Connection) -> None:
        runs.append(1)
        connection.execute(INSERT)
        proxy.end(action)
        raise error

    with pytest.raises(error):
        proxied.run_transaction(work)
    insert(proxied)
    assert (len(runs), applied(postgres)) == (1, 1)


@pytest.mark.parametrize("end", ["57P01", "RST", "FIN"])
def test_a_loss_inside_a_savepoint_ends_it_all(
    proxied: Database, postgres: PostgresServer, proxy: Proxy, end: str
) -> None:
    """Row 11: the handler that caught it inside does not commit what came before."""
    with pytest.raises(ConnectionLostError), proxied.transaction() as connection:
        connection.execute(INSERT)
        with suppress(DBAPIError), connection.begin_nested():
            ENDS[end](postgres, proxy)
            connection.execute(INSERT)
        connection.execute(INSERT)
    assert applied(postgres) == 0


@pytest.mark.parametrize("next_one", ["insert into lost_in_work (n) values (2)", "copy lost_in_work (n) from stdin"])
def test_half_of_a_transaction_is_not_committed_on_another_session(
    proxied: Database, postgres: PostgresServer, next_one: str
) -> None:
    """Row 3: also where the handler works on the driver's own connection, and swallows each error but the last."""
    with pytest.raises(ConnectionLostError), proxied.transaction() as connection:
        raw: Any = connection.connection.dbapi_connection
        raw.cursor().execute("insert into lost_in_work (n) values (1)")
        terminate(postgres, "application_name = 'proxied'")
        for statement in ("insert into lost_in_work (n) values (99)", next_one):
            with suppress(dbapi.Error):
                raw.cursor().execute(statement, (), BytesIO(b"3\n") if "stdin" in statement else None)
    assert applied(postgres) == 0
    insert(proxied)
    assert applied(postgres) == 1


def test_a_transaction_that_begins_with_a_copy_is_run_again_as_a_whole(
    proxied: Database, postgres: PostgresServer, proxy: Proxy
) -> None:
    """Row 3: its stream has been read, but COMMIT was not sent, so that nothing is in doubt."""
    lost = Once(lambda: proxy.inject(Fault(Action.RESET, direction=Direction.TO_CLIENT)))

    def work(connection: Connection) -> None:
        lost()
        raw: Any = connection.connection.dbapi_connection
        raw.cursor().execute("copy lost_in_work (n) from stdin", (), BytesIO(b"1\n2\n"))

    proxied.run_transaction(work)
    assert lost.calls == 2
    assert applied(postgres) == 2


def test_the_overall_deadline_holds_against_a_trickle(proxied: Database, proxy: Proxy, noticed: Noticed) -> None:
    """Row 14: a byte a second is a sign of life each time; the deadline is one for all of them."""
    bound_s = 4.0  # half of the reserve is spent on stopping the statement
    with (
        noticed.within(bound_s, 14),
        pytest.raises(DeadlineExceededError),
        proxied.invocation((bound_s + proxied.settings.reserve_s) * 1000),
        proxied.transaction() as connection,
    ):
        proxy.inject(Fault(Action.TRICKLE, seconds=1.0))
        connection.execute(text("select repeat('x', 1000)"))


def test_a_crash_of_the_server_is_survived(
    make_database: Callable[..., Database], fault_server: PostgresServer, pool_size: int, noticed: Noticed
) -> None:
    """Row 2: 57P02 in the work, then 57P03 while the server recovers: waited for, and the work runs again."""
    run(fault_server, "create table if not exists crashed (n int)")
    run(fault_server, "truncate crashed")
    database = make_database(fault_server.url(), pool_size=pool_size)
    crashes = Once(lambda: crash_backend(fault_server))

    def work(connection: Connection) -> None:
        connection.execute(text("insert into crashed values (1)"))
        crashes()
        connection.execute(text("insert into crashed values (1)"))

    bound_s = 10.0
    with noticed.within(bound_s, 2), database.invocation((bound_s + database.settings.reserve_s) * 1000):
        database.run_transaction(work)
    # The server may still have to recover: its crash is noticed when it likes.
    assert database.run_transaction(lambda connection: connection.scalar(text("select count(*) from crashed"))) == 2
