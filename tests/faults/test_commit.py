"""Rows 3 and 21: COMMIT is sent and its answer is lost; the handler still learns what became of its work."""

import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from io import BytesIO
from threading import Thread
from typing import NoReturn

import pytest
from sqlalchemy import Connection, insert, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from db import CommitUnknownError, ConnectionLostError, Database, DeadlineExceededError, UnreachableError
from db.recovery.lasting import LastingConnection
from local.postgres import PostgresServer
from tests.canary import VALUE
from tests.faults.proxy import Action, Direction, Fault, Proxy
from tests.faults.server import admin, backends, run, terminate, wait_until
from tests.noticing import Noticed

INSERT = text("insert into lost_commits (n) values (1)")
COMMIT = b"commit"
SILENCE_S = 2.0


class Base(DeclarativeBase):
    pass


class LostCommit(Base):
    __tablename__ = "lost_commits"
    n: Mapped[int]
    id: Mapped[int] = mapped_column(primary_key=True)


@pytest.fixture(autouse=True)
def table(postgres: PostgresServer) -> None:
    run(postgres, "drop table if exists lost_commits")
    run(postgres, "create table lost_commits (id serial primary key, n int)")


def applied(postgres: PostgresServer) -> int:
    [[count]] = run(postgres, "select count(*) from lost_commits")
    return int(count)


@pytest.mark.parametrize("action", [Action.RESET, Action.CLOSE, Action.STOP, Action.SWALLOW])
@pytest.mark.parametrize("after_bytes", [0, 5, 10])
@pytest.mark.parametrize("silence_s", [SILENCE_S])
def test_a_commit_whose_answer_is_lost_is_known_to_be_done(
    proxied: Database, postgres: PostgresServer, proxy: Proxy, action: Action, after_bytes: int, noticed: Noticed
) -> None:
    """Row 21: the server has committed; the handler gets its success, and the work is there once."""
    with proxied.transaction() as connection:
        connection.execute(INSERT)
        proxy.inject(Fault(action, after_bytes=after_bytes, once_sent=COMMIT))
        struck_at = time.monotonic()
    noticed(21, time.monotonic() - struck_at, SILENCE_S)
    assert applied(postgres) == 1


@pytest.mark.parametrize("action", [Action.RESET, Action.CLOSE])
@pytest.mark.parametrize("after_bytes", [0, 5, 11])
def test_a_commit_that_never_arrived_is_known_to_be_undone(
    proxied: Database, postgres: PostgresServer, proxy: Proxy, action: Action, after_bytes: int, noticed: Noticed
) -> None:
    """Row 21: the server has not got the whole COMMIT; the handler hears that nothing was committed."""
    with pytest.raises(ConnectionLostError), proxied.transaction() as connection:
        connection.execute(INSERT)
        proxy.inject(Fault(action, Direction.TO_SERVER, after_bytes=after_bytes))
        struck_at = time.monotonic()
    noticed(21, time.monotonic() - struck_at, proxied.settings.silence_s)
    assert applied(postgres) == 0


@pytest.mark.parametrize("after_bytes", [0, 11])
@pytest.mark.parametrize("silence_s", [SILENCE_S])
def test_a_commit_that_nobody_heard_is_ended_and_undone(
    proxied: Database, postgres: PostgresServer, proxy: Proxy, after_bytes: int, noticed: Noticed
) -> None:
    """Row 21: its session still waits for a COMMIT that was swallowed; it is ended, so that the outcome is final."""
    with pytest.raises(ConnectionLostError), proxied.transaction() as connection:
        connection.execute(INSERT)
        proxy.inject(Fault(Action.SWALLOW, Direction.TO_SERVER, after_bytes=after_bytes))
        struck_at = time.monotonic()
    noticed(21, time.monotonic() - struck_at, SILENCE_S)
    assert applied(postgres) == 0
    assert not backends(postgres, "application_name = 'proxied' and state like 'idle in transaction%'")


def test_run_transaction_repeats_a_commit_that_never_arrived(
    proxied: Database, postgres: PostgresServer, proxy: Proxy
) -> None:
    """Row 21: known to be undone, the work is safe to run again, and is."""
    runs = []

    def work(connection: Connection) -> None:
        connection.execute(INSERT)
        runs.append(1)
        if len(runs) == 1:
            proxy.inject(Fault(Action.RESET, Direction.TO_SERVER))

    proxied.run_transaction(work)
    assert (len(runs), applied(postgres)) == (2, 1)


def make_commits_slow(postgres: PostgresServer, seconds: float) -> None:
    """Let each COMMIT of an insert run a deferred trigger."""
    run(
        postgres,
        "create or replace function slow_commit() returns trigger language plpgsql"
        f" as 'begin perform pg_sleep({seconds}); return null; end'",
    )
    run(
        postgres,
        "create constraint trigger slow after insert on lost_commits"
        " deferrable initially deferred for each row execute function slow_commit()",
    )


def test_a_session_that_is_terminated_in_commit_is_resolved(
    proxied: Database, postgres: PostgresServer, noticed: Noticed
) -> None:
    """Row 3: 57P01 while COMMIT runs a deferred trigger: it was not committed, and the handler hears that."""
    make_commits_slow(postgres, seconds=5)
    struck_at = [0.0]

    def terminate_in_commit() -> None:
        wait_until(lambda: backends(postgres, "application_name = 'proxied' and wait_event = 'PgSleep'"))
        struck_at[0] = time.monotonic()
        terminate(postgres, "application_name = 'proxied'")

    terminator = Thread(target=terminate_in_commit)
    terminator.start()
    with pytest.raises(ConnectionLostError), proxied.transaction() as connection:
        connection.execute(INSERT)
    noticed(3, time.monotonic() - struck_at[0], proxied.settings.silence_s)
    terminator.join()
    assert applied(postgres) == 0


def test_a_slow_commit_is_waited_for(proxied: Database, postgres: PostgresServer) -> None:
    """Row 12: a COMMIT that takes longer than the bound for silence is asked after, and not ended."""
    make_commits_slow(postgres, seconds=2)
    with proxied.transaction() as connection:
        connection.execute(INSERT)
    assert applied(postgres) == 1


def test_a_commit_slower_than_the_deadline_is_ended(
    proxied: Database, postgres: PostgresServer, noticed: Noticed
) -> None:
    """Row 6: it is known to be undone, in time for an answer."""
    make_commits_slow(postgres, seconds=10)
    with (
        noticed.within(2.5 - proxied.settings.reserve_s, 6),
        pytest.raises((ConnectionLostError, DeadlineExceededError)),
        proxied.invocation(2500),
        proxied.transaction() as connection,
    ):
        connection.execute(INSERT)
    assert applied(postgres) == 0


def test_a_transaction_that_only_reads_has_nothing_in_doubt(
    proxied: Database, postgres: PostgresServer, proxy: Proxy
) -> None:
    """Row 21: it is given no id, and a lost answer to its COMMIT is nobody's loss."""
    before = run(postgres, "select pg_snapshot_xmax(pg_current_snapshot())")
    with proxied.transaction() as connection:
        assert connection.scalar(text("select count(*) from lost_commits")) == 0
        proxy.inject(Fault(Action.RESET, once_sent=COMMIT))
    assert run(postgres, "select pg_snapshot_xmax(pg_current_snapshot())") == before


def test_what_copy_wrote_is_resolved_too(proxied: Database, postgres: PostgresServer, proxy: Proxy) -> None:
    """Row 21: COPY carries no rider, so its transaction's id is asked for before COMMIT."""
    with proxied.transaction() as connection:
        cursor = connection.connection.cursor()
        cursor.execute("copy lost_commits (n) from stdin", stream=BytesIO(b"1\n2\n"))  # type: ignore[call-arg]  # pg8000's
        proxy.inject(Fault(Action.RESET, once_sent=COMMIT))
    assert applied(postgres) == 2


def test_an_orm_session_is_resolved_too(proxied: Database, postgres: PostgresServer, proxy: Proxy) -> None:
    """Row 21: the ORM's flush and COMMIT go the same way."""
    with proxied.session() as session:
        session.add(LostCommit(n=1))
        session.flush()
        proxy.inject(Fault(Action.RESET, once_sent=COMMIT))
    assert applied(postgres) == 1


def test_many_rows_in_autocommit_are_resolved_too(proxied: Database, postgres: PostgresServer, proxy: Proxy) -> None:
    """Row 21: several flights are made one transaction, whose COMMIT is resolved like any other."""
    with proxied.autocommit() as connection:
        proxy.inject(Fault(Action.RESET, once_sent=COMMIT))
        rows = [{"n": n, "filler": VALUE * 30} for n in range(2000)]
        connection.execute(text("insert into lost_commits (n) select :n where :filler <> ''"), rows)
    assert applied(postgres) == 2000


def test_only_an_unreachable_server_leaves_a_commit_in_doubt(
    make_database: Callable[..., Database],
    postgres: PostgresServer,
    proxy: Proxy,
    noticed: Noticed,
) -> None:
    """Row 21: the error says unknown, carries the id that answers the question later, and comes by the deadline."""
    url = postgres.url().replace(f":{postgres.port}/", f":{proxy.port}/")
    database = make_database(url, reserve_s=0.5)

    def cut_off() -> None:
        proxy.inject(Fault(Action.RESET, once_sent=COMMIT))
        proxy.refuse()

    with (
        noticed.within(2.0, 21),
        pytest.raises(CommitUnknownError) as caught,
        database.invocation(2500),
        database.transaction() as connection,
    ):
        connection.execute(INSERT)
        cut_off()
    assert run(postgres, "select pg_xact_status(%(xid)s::text::xid8)", xid=str(caught.value.xid)) == [("committed",)]


def test_a_late_write_in_autocommit_is_in_doubt_also_where_no_time_is_kept_back(
    make_database: Callable[..., Database], postgres: PostgresServer, proxy: Proxy
) -> None:
    """Row 21: the server has it, and cannot even be asked to stop; nobody is told that it was only too late."""
    url = postgres.url().replace(f":{postgres.port}/", f":{proxy.port}/")
    database = make_database(url, reserve_s=0.0, silence_s=30)
    with pytest.raises(CommitUnknownError), database.invocation(1000), database.autocommit() as connection:
        proxy.inject(Fault(Action.SWALLOW))
        connection.execute(INSERT)
    wait_until(lambda: applied(postgres) == 1)


def test_the_id_costs_no_flight(proxied: Database, proxy: Proxy) -> None:
    """Row 21: three statements and a COMMIT are four flights, with the id known before the last."""
    with proxied.transaction() as connection:
        connection.execute(text("select 1"))
        before = proxy.traffic()
        connection.execute(INSERT)
        connection.execute(insert(LostCommit).values(n=2))
        connection.execute(text("select 1"))
    assert (proxy.traffic() - before).flights == 4


def test_a_silent_commit_near_the_deadline_is_resolved(
    make_database: Callable[..., Database], postgres: PostgresServer, proxy: Proxy
) -> None:
    """Row 21: with less time left than a server may be silent, its outcome is asked for early enough to be known."""
    url = postgres.url().replace(f":{postgres.port}/", f":{proxy.port}/")
    database = make_database(url, silence_s=5.0, reserve_s=0.5)
    with database.invocation(2000), database.transaction() as connection:
        connection.execute(INSERT)
        proxy.inject(Fault(Action.STOP, once_sent=COMMIT))
    assert applied(postgres) == 1


@pytest.mark.parametrize("notify", ["notify news, 'x'", "select pg_notify('news', 'x')"])
def test_what_only_notifies_is_resolved_too(
    proxied: Database, postgres: PostgresServer, proxy: Proxy, notify: str
) -> None:
    """Row 21: PostgreSQL gives such a transaction an id no sooner than in COMMIT; here it has one to ask about."""
    with admin(postgres) as listener:
        listener.execute("listen news")
        with pytest.raises(ConnectionLostError), proxied.transaction() as connection:
            connection.execute(text(notify))
            proxy.inject(Fault(Action.RESET, Direction.TO_SERVER))
        with proxied.transaction() as connection:
            connection.execute(text(notify))
            proxy.inject(Fault(Action.RESET, once_sent=COMMIT))
        assert [told.payload for told in listener.notifies(timeout=2, stop_after=1)] == ["x"]


LOSING = (
    "create or replace function lose() returns int language sql as 'insert into lost_commits values (1) returning n'"
)
HELD = "declare held cursor with hold for select lose()"


@pytest.mark.parametrize(("direction", "expected"), [(Direction.TO_CLIENT, 1), (Direction.TO_SERVER, 0)])
def test_what_a_held_cursor_writes_is_resolved_too(
    proxied: Database, postgres: PostgresServer, proxy: Proxy, direction: Direction, expected: int
) -> None:
    """Row 21: its query is run in COMMIT, before which the transaction has written nothing."""
    run(postgres, LOSING)
    with nullcontext() if expected else pytest.raises(ConnectionLostError), proxied.transaction() as connection:
        connection.exec_driver_sql(HELD)
        proxy.inject(Fault(Action.RESET, direction, once_sent=COMMIT if expected else b""))
    assert applied(postgres) == expected


def test_a_held_cursor_in_autocommit_is_never_opened_twice(
    proxied: Database, postgres: PostgresServer, proxy: Proxy
) -> None:
    """Row 21: its query may write, and is run at once."""
    run(postgres, LOSING)
    with pytest.raises(CommitUnknownError), proxied.autocommit() as connection:
        connection.execute(text("select 1"))
        proxy.inject(Fault(Action.RESET, once_sent=b"with hold"))
        connection.exec_driver_sql(HELD)
    assert applied(postgres) == 1


@pytest.mark.parametrize("statement", ["insert into lost_commits (n) values (1); commit", "commit"])
def test_a_commit_of_the_handlers_own_is_never_repeated(
    proxied: Database, postgres: PostgresServer, proxy: Proxy, statement: str
) -> None:
    """Row 21: a text that commits, its answer lost: the handler is told that this is not known, and runs once."""
    runs = []

    def work(connection: Connection) -> None:
        runs.append(1)
        if statement == "commit":
            connection.execute(INSERT)
        if len(runs) == 1:
            proxy.inject(Fault(Action.RESET, once_sent=COMMIT))
        connection.exec_driver_sql(statement)

    with pytest.raises(CommitUnknownError) as caught:
        proxied.run_transaction(work)
    assert (len(runs), applied(postgres)) == (1, 1)
    assert (caught.value.xid is not None) == (statement == "commit")


def require_one_run_until_lost(
    proxied: Database, postgres: PostgresServer, proxy: Proxy, first: Callable[[Connection, int], None]
) -> None:
    """Lose the connection behind what `first(connection, number of the run)` does, which writes one row that stays."""
    runs = []

    def work(connection: Connection) -> None:
        runs.append(1)
        first(connection, len(runs))
        connection.execute(INSERT)
        proxy.end()
        connection.execute(INSERT)

    with pytest.raises(ConnectionLostError):
        proxied.run_transaction(work)
    assert (len(runs), applied(postgres)) == (1, 1)


@pytest.mark.parametrize("commit", ["commit", "commit and chain", "driver"])
def test_work_that_has_committed_is_not_run_again(
    proxied: Database, postgres: PostgresServer, proxy: Proxy, commit: str
) -> None:
    """Row 21: what it committed itself stays, so that a loss behind it is the handler's to judge."""

    def commits(connection: Connection, _number: int) -> None:
        connection.execute(INSERT)
        if commit == "driver":
            connection.connection.commit()
        else:
            connection.exec_driver_sql(commit)

    require_one_run_until_lost(proxied, postgres, proxy, commits)


PROCEDURE = """
create or replace procedure lose(run int) language plpgsql as $$ begin
    if run = 0 then raise exception using errcode = '25006'; end if;
    insert into lost_commits (n) values (run);
end $$
"""


def test_work_that_has_called_a_procedure_is_not_run_again(
    proxied: Database, postgres: PostgresServer, proxy: Proxy
) -> None:
    """Row 21: a cursor calls it outside of a transaction, so that what it has done stays."""
    run(postgres, PROCEDURE)

    def calls(connection: Connection, number: int) -> None:
        connection.connection.cursor().callproc("lose", [number])

    require_one_run_until_lost(proxied, postgres, proxy, calls)


def test_work_whose_procedure_met_a_standby_is_run_again(proxied: Database, postgres: PostgresServer) -> None:
    """Row 9: nothing was executed there, and no other server was to be had just then."""
    run(postgres, PROCEDURE)
    runs: list[int] = []

    def unreachable() -> NoReturn:
        raise UnreachableError

    def work(connection: Connection) -> None:
        session = connection.connection.dbapi_connection
        assert isinstance(session, LastingConnection)
        if not runs:
            session.reopen = unreachable
        runs.append(1)
        connection.connection.cursor().callproc("lose", [len(runs) - 1])

    proxied.run_transaction(work)
    assert (len(runs), applied(postgres)) == (2, 1)


def test_cleaning_up_behind_work_does_not_keep_it_from_being_run_again(
    proxied: Database, postgres: PostgresServer
) -> None:
    """What was left in the session is discarded outside of a transaction; nothing is committed by that."""
    runs = []

    def work(connection: Connection) -> None:
        runs.append(1)
        connection.execute(text("set work_mem = '1MB'"))
        connection.execute(INSERT)
        if len(runs) == 1:
            connection.exec_driver_sql("do $$ begin raise exception using errcode = '40001'; end $$")

    proxied.run_transaction(work)
    assert (len(runs), applied(postgres)) == (2, 1)


def test_a_transaction_behind_another_has_an_id_of_its_own(
    proxied: Database, postgres: PostgresServer, proxy: Proxy
) -> None:
    """Row 21: after a COMMIT of the handler's own the next one is asked about by its own id."""
    with pytest.raises(ConnectionLostError), proxied.transaction() as connection:
        connection.execute(INSERT)
        connection.exec_driver_sql("commit and chain")
        connection.execute(INSERT)
        proxy.inject(Fault(Action.RESET, Direction.TO_SERVER))
    assert applied(postgres) == 1


IN_DOUBT = [r"select case when 'a1' ~ '\d' then 1 end", "select /* a /* nested */ one */ case when true then 1 end"]


@pytest.mark.parametrize("statement", IN_DOUBT)
@pytest.mark.parametrize(("direction", "runs"), [(Direction.TO_CLIENT, 1), (Direction.TO_SERVER, 2)])
def test_a_text_that_only_looks_as_if_it_commits_does_not_hide_what_became_of_a_commit(
    proxied: Database, postgres: PostgresServer, proxy: Proxy, statement: str, direction: Direction, runs: int
) -> None:
    """Row 21: the server does not say that a transaction has ended, so that it is still the one with the known id."""
    flights = []

    def work(connection: Connection) -> None:
        before = proxy.traffic()
        connection.execute(INSERT)
        connection.exec_driver_sql(statement)
        flights.append((proxy.traffic() - before).flights)
        if len(flights) == 1:
            proxy.inject(Fault(Action.RESET, direction, once_sent=COMMIT if runs == 1 else b""))

    proxied.run_transaction(work)
    assert (flights, applied(postgres)) == ([2] * runs, 1)


@pytest.mark.parametrize(
    "chain", ["rollback and chain", "rollback; begin", "savepoint a; rollback to a; commit and chain"]
)
def test_a_transaction_behind_one_that_was_rolled_back_has_an_id_of_its_own(
    proxied: Database, postgres: PostgresServer, proxy: Proxy, chain: str
) -> None:
    """Row 21: what was rolled back is not taken for the transaction that was committed: no work is run twice."""
    runs = []

    def work(connection: Connection) -> None:
        connection.execute(INSERT)
        connection.exec_driver_sql(chain)
        connection.execute(INSERT)
        runs.append(1)
        if len(runs) == 1:
            proxy.inject(Fault(Action.RESET, once_sent=COMMIT))

    proxied.run_transaction(work)
    assert (len(runs), applied(postgres)) == (1, 2 if "commit" in chain else 1)


def test_what_notifies_behind_a_commit_of_the_handlers_own_is_resolved_too(proxied: Database, proxy: Proxy) -> None:
    """Row 21: in one text, in which no rider can stand between the two."""
    with pytest.raises(ConnectionLostError), proxied.transaction() as connection:
        connection.execute(INSERT)
        proxy.inject(Fault(Action.RESET, Direction.TO_SERVER, once_sent=b"pg_current_xact_id()"))
        connection.exec_driver_sql("commit and chain; notify news, 'x'")


@pytest.mark.parametrize(("direction", "expected"), [(Direction.TO_CLIENT, 2), (Direction.TO_SERVER, 0)])
def test_savepoints_do_not_hide_what_became_of_a_commit(
    proxied: Database, postgres: PostgresServer, proxy: Proxy, direction: Direction, expected: int
) -> None:
    """Row 21: one that was released and one that was rolled back; the transaction's own id is asked about."""
    with nullcontext() if expected else pytest.raises(ConnectionLostError), proxied.transaction() as connection:
        with connection.begin_nested():
            connection.execute(INSERT)
        with suppress(ZeroDivisionError), connection.begin_nested():
            connection.execute(INSERT)
            raise ZeroDivisionError
        connection.execute(INSERT)
        proxy.inject(Fault(Action.RESET, direction, once_sent=COMMIT if expected else b""))
    assert applied(postgres) == expected


def test_a_session_may_end_its_transaction_itself(proxied: Database, postgres: PostgresServer) -> None:
    """What it commits stays, what it rolls back does not, and what comes behind is committed at the end."""
    with proxied.session() as session:
        session.add(LostCommit(n=1))
        session.commit()
    with proxied.session() as session:
        session.add(LostCommit(n=2))
        session.flush()
        session.rollback()
    assert applied(postgres) == 1
