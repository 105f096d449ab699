"""Rows 2, 3, 11, 12, 14 and 22: a connection that dies at work; nothing is lost, and nothing done twice."""

import time
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from typing import Any

import pytest
from pg8000 import dbapi
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, PendingRollbackError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from db import (
    CommitUnknownError,
    ConnectionLostError,
    Database,
    DatabaseSettings,
    DeadlineExceededError,
    Repeat,
    Tls,
)
from db.observation import Silence
from local.postgres import PostgresServer
from tests.faults.proxy import Action, Direction, Fault, Proxy
from tests.faults.server import backends, crash_backend, run, terminate, wait_until
from tests.faults.stream import ENDINGS
from tests.noticing import Noticed


class Base(DeclarativeBase):
    pass


class LostInWork(Base):
    __tablename__ = "lost_in_work"
    n: Mapped[int | None]
    id: Mapped[int] = mapped_column(primary_key=True)


INSERT = text("insert into lost_in_work (n) values (1)")


@pytest.fixture(autouse=True)
def table(postgres: PostgresServer) -> None:
    run(postgres, "drop table if exists lost_in_work")
    run(postgres, "create table lost_in_work (n int not null, id serial primary key)")


def applied(postgres: PostgresServer) -> int:
    [[count]] = run(postgres, "select count(*) from lost_in_work")
    return int(count)


def insert(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(INSERT)


class Once:
    """Does something the first time that it is called."""

    def __init__(self, what: Callable[[], object]) -> None:
        self._what = what
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1
        if self.calls == 1:
            self._what()


SILENCE_S = 2.0
ROWS = {"57P01": 3, "RST": 11, "FIN": 11, "silence": 12}
ENDS: dict[str, Callable[[PostgresServer, Proxy], object]] = {
    "57P01": lambda postgres, _: terminate(postgres, "application_name = 'proxied'"),
    "RST": lambda _, proxy: proxy.end(Action.RESET),
    "FIN": lambda _, proxy: proxy.end(Action.CLOSE),
    "silence": lambda _, proxy: proxy.end(Action.SWALLOW),
}


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


@pytest.mark.parametrize("end", ENDS)
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


CUTS = [
    *((Action.SWALLOW, 0), (Action.STOP, 0)),  # later a sign of life has been given: the deadline is the bound
    *((action, after_bytes) for action in (Action.RESET, Action.CLOSE) for after_bytes in (0, 1, 4, 5, 30)),
]


@pytest.mark.parametrize(("action", "after_bytes"), CUTS)
@pytest.mark.parametrize("silence_s", [SILENCE_S])
def test_a_first_flight_whose_reply_is_cut_is_sent_again(
    proxied: Database, postgres: PostgresServer, proxy: Proxy, action: Action, after_bytes: int, noticed: Noticed
) -> None:
    """Rows 11, 12 and 22: nobody has seen a result and nothing can have been committed: invisible."""
    row = 11 if action in ENDINGS else 12
    with proxied.transaction() as connection:
        proxy.inject(Fault(action, after_bytes=after_bytes))
        with noticed.within(SILENCE_S, row):
            connection.execute(INSERT)
    assert applied(postgres) == 1


def test_what_was_sent_again_is_told(postgres: PostgresServer, proxy: Proxy) -> None:
    """Row 11: invisible to the client, but not to whoever watches."""

    class Told(Silence):
        def __init__(self) -> None:
            self.repeats: list[Repeat] = []

        def repeated(self, repeat: Repeat) -> None:
            self.repeats.append(repeat)

    told = Told()
    url = postgres.url().replace(f":{postgres.port}/", f":{proxy.port}/")
    database = Database(DatabaseSettings(url=url, tls=Tls.INSECURE_LOCAL_ONLY), observer=told)
    with database.transaction() as connection:
        proxy.inject(Fault(Action.RESET))
        connection.execute(INSERT)
    database.close()
    assert told.repeats == [Repeat(kind="connection_lost", wait_ms=0.0)]


@pytest.mark.parametrize("after_bytes", [0, 40, 100])
def test_a_first_flight_that_is_cut_on_its_way_is_sent_again(
    proxied: Database, postgres: PostgresServer, proxy: Proxy, after_bytes: int
) -> None:
    """Rows 11 and 22: the server has got a part of it, or nothing."""
    with proxied.transaction() as connection:
        proxy.inject(Fault(Action.RESET, Direction.TO_SERVER, after_bytes=after_bytes))
        connection.execute(INSERT)
    assert applied(postgres) == 1


def test_a_read_in_autocommit_is_sent_again(proxied: Database, proxy: Proxy) -> None:
    """Row 11: a SELECT that calls nothing can be asked twice, wherever in the borrow it stands."""
    with proxied.autocommit() as connection:
        for _ in range(2):
            proxy.inject(Fault(Action.RESET))
            assert connection.scalar(text("select count(*) from lost_in_work")) == 0


def test_a_write_in_autocommit_is_never_sent_again(proxied: Database, postgres: PostgresServer, proxy: Proxy) -> None:
    """Row 21: it was its own transaction and may have been committed: the handler is told that this is not known."""
    with pytest.raises(CommitUnknownError), proxied.autocommit() as connection:
        proxy.inject(Fault(Action.RESET))
        connection.execute(INSERT)
    assert applied(postgres) == 1


@pytest.mark.parametrize("end", ["57P01", "RST", "FIN"])
def test_a_write_in_autocommit_is_not_sent_on_a_connection_that_has_ended(
    proxied: Database, postgres: PostgresServer, proxy: Proxy, end: str
) -> None:
    """Rows 3 and 11: the socket shows the loss before anything is sent, so that there is no doubt: invisible."""
    with proxied.autocommit() as connection:
        connection.execute(INSERT)
        ENDS[end](postgres, proxy)
        time.sleep(0.1)
        connection.execute(INSERT)
    assert applied(postgres) == 2


def test_a_lease_that_ends_in_a_borrow_is_invisible(
    make_database: Callable[..., Database], postgres: PostgresServer
) -> None:
    """Row 4: a handler that pauses in autocommit() finds its session closed by the server, and writes on another."""
    database = make_database(postgres.url(), application_name="leased")
    with database.autocommit() as connection:
        connection.execute(INSERT)
        session: Any = connection.connection.dbapi_connection
        session.execute_simple("set idle_session_timeout = '200ms'")
        session.left_residue = False
        wait_until(lambda: not backends(postgres, "application_name = 'leased'"))
        connection.execute(INSERT)
    assert applied(postgres) == 2


@pytest.mark.parametrize(
    "first",
    [
        "set work_mem = '1MB'",
        "select set_config('app.user', 'x', false)",
        "select pg_advisory_lock(7)",
        "listen news",
    ],
)
@pytest.mark.parametrize("kind", ["transaction", "autocommit"])
def test_what_sets_up_the_session_first_is_sent_again(proxied: Database, proxy: Proxy, first: str, kind: str) -> None:
    """Row 11: nothing was there to be lost with the session, and the new one is set up in its place."""
    with getattr(proxied, kind)() as connection:
        proxy.inject(Fault(Action.RESET))
        connection.execute(text(first))
        assert connection.scalar(text("select 1")) == 1


def test_what_was_set_up_before_is_not_lost_in_silence(proxied: Database, proxy: Proxy) -> None:
    """Row 20: a session whose settings the handler counts on is not replaced by another."""
    with pytest.raises(ConnectionLostError), proxied.autocommit() as connection:
        connection.execute(text("set work_mem = '1MB'"))
        proxy.inject(Fault(Action.RESET))
        connection.execute(text("select 1"))


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("action", [Action.RESET, Action.SWALLOW])
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


def test_a_new_session_is_told_the_time_that_is_left(
    make_database: Callable[..., Database], postgres: PostgresServer, proxy: Proxy
) -> None:
    """Row 12: what it says of its limit afterwards is what the server knows."""
    url = postgres.url().replace(f":{postgres.port}/", f":{proxy.port}/")
    database = make_database(url, pool_size=1, silence_s=1.0)
    with database.invocation(20_000), database.transaction() as connection:
        connection.execute(text("select 1"))
    with database.invocation(10_000), database.transaction() as connection:
        proxy.end(Action.SWALLOW)
        connection.execute(text("select 1"))
        session: Any = connection.connection.dbapi_connection
    [[told]] = session.execute_simple("show statement_timeout").rows
    assert told == f"{session.time_limit._session_ms}ms"


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


def test_a_later_borrower_never_reads_an_earlier_reply(proxied: Database, proxy: Proxy, noticed: Noticed) -> None:
    """Row 22: whatever byte of a reply the stream ends at, the next borrower gets its own rows."""
    with proxied.autocommit() as connection:
        connection.execute(text("select 1"))
    before = proxy.traffic().to_client
    with proxied.autocommit() as connection:
        connection.execute(text("select 'mine' from generate_series(1, 3)")).all()
    length = proxy.traffic().to_client - before
    for after_bytes in range(0, min(length, 300), 7):
        with proxied.autocommit() as connection, noticed.within(proxied.settings.silence_s, 22):
            proxy.inject(Fault(Action.RESET, after_bytes=after_bytes))
            connection.execute(text("select 'mine' from lost_in_work")).all()
        with proxied.autocommit() as connection:
            assert connection.scalar(text("select 'yours'")) == "yours"


def test_a_dead_backend_leaves_no_session_behind(proxied: Database, postgres: PostgresServer, proxy: Proxy) -> None:
    """Row 11: what replaces a dead connection is one connection, not two."""
    insert(proxied)
    proxy.end()
    insert(proxied)
    assert len(backends(postgres, "application_name = 'proxied'")) <= 1


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
