"""Transactions as the connection begins and ends them, and what runs outside of one; on a real server."""

import pytest

from db.deadline import Deadline
from db.protocol.connection import Connection
from db.protocol.server_errors import (
    InFailedTransactionError,
    ServerIntegrityError,
    ServerOperationalError,
    ServerProgrammingError,
    sqlstate_of,
)
from tests.integration.protocol.conftest import count
from tests.integration.wire import value


def test_a_begin_that_fails_keeps_the_statement_from_running(connection: Connection) -> None:
    """Nothing runs outside the transaction that it was meant for."""
    connection.modes.isolation_level = "no such level"
    for values in (None, ()):
        with pytest.raises(ServerProgrammingError):
            connection.run_one("insert into t values (7)", values)
        assert not connection._in_transaction
    connection.modes.isolation_level = None
    assert count(connection) == 0


def test_the_isolation_level_is_said_in_begin(connection: Connection) -> None:
    """Also read only and deferrable."""
    connection.modes.isolation_level, connection.modes.read_only = "SERIALIZABLE", True
    connection.modes.deferrable = True
    shown = [value(connection, f"show transaction_{name}") for name in ("isolation", "read_only", "deferrable")]
    assert shown == ["serializable", "on", "on"]


def test_read_only_holds_with_autocommit_too(connection: Connection) -> None:
    """A connection that was made read only writes nothing, whatever the mode."""
    connection.autocommit = True
    connection.modes.read_only = True
    with pytest.raises(ServerOperationalError) as caught:
        connection.cursor().execute("create table public.never (n int)")
    assert sqlstate_of(caught.value) == "25006"


def test_commit_of_a_failed_transaction_is_an_error(connection: Connection) -> None:
    """The server answers it with ROLLBACK: nobody may take that for success."""
    connection.cursor().execute("insert into t values (1)")
    with pytest.raises(ServerIntegrityError):
        connection.cursor().execute("insert into t values (1)")
    with pytest.raises(InFailedTransactionError):
        connection.commit()
    assert count(connection) == 0


def test_several_statements_without_values_run_as_one(connection: Connection) -> None:
    """As with pg8000: the simple protocol takes them all, in the transaction that begins with them."""
    cursor = connection.cursor()
    cursor.execute("insert into t values (1); insert into t values (2); select n from t order by n")
    assert list(cursor.fetchall()) == [[1], [2]]
    connection.rollback()
    assert count(connection) == 0


def test_several_statements_run_in_a_transaction_that_was_begun_as_text(connection: Connection) -> None:
    """With autocommit too, and whatever limit travels in front of them."""
    connection.autocommit = True
    connection.cursor().execute("begin")
    for seconds in (30, 20):
        connection.deadline = Deadline.after(seconds)
        connection.cursor().execute("insert into t select count(*) from t; insert into t select count(*) from t")
    assert count(connection) == 4
    assert value(connection, "show statement_timeout") != "0"
    connection.cursor().execute("rollback")
    assert count(connection) == 0


@pytest.mark.parametrize("statement", ["vacuum", "create database born_with_autocommit", "discard all"])
def test_a_statement_that_must_be_alone_runs_with_autocommit_and_deadline(
    connection: Connection, statement: str
) -> None:
    """What goes in front is left out where the server refuses the statement for it."""
    connection.autocommit = True
    connection.deadline = Deadline.after(30)
    connection.cursor().execute(statement)
    if "database" in statement:
        connection.cursor().execute("drop database born_with_autocommit")


def test_a_procedure_that_commits_is_not_run_twice(connection: Connection) -> None:
    """A refusal from inside it looks the same, but what ran before was committed."""
    connection.autocommit = True
    connection.deadline = Deadline.after(30)
    connection.cursor().execute(
        "create procedure pg_temp.twice() language plpgsql as "
        "$$begin insert into t values (1); commit; insert into t values (2); commit; execute 'vacuum'; end$$"
    )
    with pytest.raises(ServerOperationalError) as caught:
        connection.cursor().execute("call pg_temp.twice()")
    assert sqlstate_of(caught.value) == "25001"
    assert count(connection) == 2


def test_a_procedure_that_commits_is_cancelled_at_the_deadline(connection: Connection) -> None:
    """It runs alone, without a limit on the server: the second socket stops it."""
    connection.autocommit = True
    for statement in ("call pg_temp.slow()", "/* why */ do $$begin commit; perform pg_sleep(30); end$$"):
        connection.deadline = Deadline.after(30)
        connection.cursor().execute(
            "create or replace procedure pg_temp.slow() language plpgsql as "
            "$$begin insert into t select count(*) from t; commit; perform pg_sleep(30); end$$"
        )
        connection._reserve_s = 20
        connection.deadline = Deadline.after(2)
        with pytest.raises(ServerOperationalError) as caught:
            connection.cursor().execute(statement)
        assert sqlstate_of(caught.value) == "57014"
    connection.deadline = Deadline.after(30)
    assert count(connection) == 1


def test_two_phase_commit_works_as_in_pg8000(connection: Connection) -> None:
    """Without prepared transactions on the server, prepare says so; a single phase commits."""
    connection.tpc_begin(connection.xid(0, "gid", ""))
    connection.cursor().execute("insert into t values (1)")
    connection.tpc_commit()
    assert count(connection) == 1
