"""Row 21: work that ends its transactions itself; what it has committed is neither run again nor taken for the rest."""

from collections.abc import Callable
from typing import NoReturn

import pytest
from sqlalchemy import Connection, text

from db import CommitUnknownError, ConnectionLostError, Database, UnreachableError
from db.recovery.lasting import LastingConnection
from local.postgres import PostgresServer
from tests.faults.lost_commits import COMMIT, INSERT, LostCommit, applied
from tests.faults.proxy import Action, Direction, Fault, Proxy
from tests.faults.server import run

pytestmark = pytest.mark.usefixtures("lost_commits")


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
            proxy.inject(Fault(Action.RESET, once_sent=b"commit"))
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
