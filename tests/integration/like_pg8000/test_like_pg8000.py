"""Whatever is asked in whatever order: the same answers and the same state as through stock pg8000."""

import math
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pg8000 import dbapi

from db.deadline import Deadline
from db.settings import Mode
from db.statements.watched import WatchedConnection
from local.postgres import PostgresServer
from tests.integration.like_pg8000.conftest import EXAMPLES, Outcome, lent_connection, stock_connection
from tests.integration.wire import connected

Operation = tuple[str, Any]

KEYS = st.integers(0, 5)
NAMES = st.sampled_from(["a", "b"])
NOTHING = st.just(())
OPERATIONS = st.one_of(
    st.tuples(st.just("insert into t values (%s, %s)"), st.tuples(KEYS, st.text("xyß'\\%", max_size=3))),
    st.tuples(st.just("update t set s = s || %s where n > %s"), st.tuples(st.text("qr", max_size=2), KEYS)),
    st.tuples(st.just("delete from t where n = %s"), st.tuples(KEYS)),
    st.tuples(st.just("select n, s from t where n <> %s order by n"), st.tuples(KEYS)),
    st.tuples(st.just("select 1 / %s"), st.tuples(st.integers(0, 1))),
    st.tuples(
        st.just("insert into t values (10, 'x'); select count(*) from t; delete from t where n = 10"), st.just(())
    ),
    st.tuples(st.just("insert into t values (11, 'x'); select no_such_column"), NOTHING),
    st.tuples(
        st.sampled_from(["select no_such_column", "no statement", "", ";", "set local search_path = x"]), st.just(())
    ),
    st.tuples(
        st.sampled_from(
            [
                "set local lock_timeout = '9s'",
                "set transaction read only",
                "set transaction isolation level repeatable read",
                "lock table t in share mode",
            ]
        ),
        NOTHING,
    ),
    st.tuples(NAMES.map(lambda name: f"savepoint {name}"), NOTHING),
    st.tuples(NAMES.map(lambda name: f"rollback to savepoint {name}"), NOTHING),
    st.tuples(NAMES.map(lambda name: f"release savepoint {name}"), NOTHING),
    st.tuples(st.sampled_from(["commit", "rollback", "begin"]), NOTHING),
    st.tuples(st.just("many"), st.lists(st.tuples(KEYS, st.just("m")), max_size=4)),
    st.tuples(st.sampled_from(["COMMIT", "ROLLBACK"]), st.none()),
)

LATE_LEVEL = ("set local lock_timeout = '9s'", "set transaction isolation level repeatable read")

STEPS = st.lists(st.tuples(OPERATIONS, st.sampled_from([50, 100])), max_size=12)
"""What is asked, and the seconds that are left then."""


@contextmanager
def _fresh(connection: Any, *, autocommit: bool) -> Iterator[None]:  # noqa: ANN401 - either kind
    """Empty the table, and leave no transaction behind."""
    connection.autocommit = True
    connection.cursor().execute("truncate t")
    connection.autocommit = autocommit
    yield
    connection.autocommit = True
    if connection._in_transaction:
        connection.cursor().execute("rollback")


def _outcome(connection: Any, operation: Operation, left_s: float = math.inf) -> Outcome:  # noqa: ANN401 - either kind
    """Return what an operation comes to: rows and row count, or the SQLSTATE."""
    statement, values = operation
    if isinstance(connection, WatchedConnection):
        connection.deadline = Deadline.after(left_s)
    cursor = connection.cursor()
    try:
        if values is None:
            _end(connection, statement)
        elif statement == "many":
            cursor.executemany("insert into t values (%s, %s)", values)
        else:
            cursor.execute(statement, values)
    except dbapi.InterfaceError:
        return "refused", None
    except dbapi.DatabaseError as error:
        return "error", error.args[0]["C"]
    rows = [list(row) for row in cursor._context.rows or ()] if cursor._context else None
    return "done", (rows, cursor.rowcount, connection._in_transaction)


def _end(connection: Any, statement: str) -> None:  # noqa: ANN401 - either kind
    if connection._in_transaction:
        connection.commit() if statement == "COMMIT" else connection.rollback()


@EXAMPLES
@given(steps=STEPS, autocommit=st.booleans())
@example(steps=[((LATE_LEVEL[0], ()), 50), ((LATE_LEVEL[1], ()), 50)], autocommit=False)
@example(steps=[(("lock table t in share mode", ()), 50), ((LATE_LEVEL[1], ()), 50)], autocommit=False)
def test_any_sequence_leaves_the_same_state_and_results(
    pair: dict[str, Any], steps: list[tuple[Operation, int]], *, autocommit: bool
) -> None:
    """Statements, errors, savepoints, commits and rollbacks, with autocommit and without, whatever time is left.

    The one difference is by design: with autocommit, executemany is all or nothing; it is left out there.
    """
    asked = [step for step in steps if not (autocommit and step[0][0] == "many")]
    results = {}
    for name in ("stock", "ours"):
        connection = pair[name]
        with _fresh(connection, autocommit=autocommit):
            results[name] = [_outcome(connection, *step) for step in asked]
        cursor = connection.cursor()
        cursor.execute("select n, s from t order by n")
        results[name].append(("state", [list(row) for row in cursor.fetchall()]))
    assert results["ours"] == results["stock"]


@pytest.mark.parametrize("first", ["savepoint a", "set local lock_timeout = '9s'", "declare c cursor for select 1"])
def test_a_transaction_sees_what_was_committed_before_its_first_query(
    server_itself: PostgresServer, first: str
) -> None:
    """Nothing that travels along with what is no query takes REPEATABLE READ's snapshot early."""
    with (
        connected(server_itself) as other,
        closing(stock_connection(server_itself)) as stock,
        lent_connection(server_itself, Mode.DIRECT) as ours,
    ):
        other.autocommit = True
        other.cursor().execute("drop table if exists public.early; create table public.early (n int)")
        assert _seen_after(first, stock, other) + 1 == _seen_after(first, ours, other)


def _seen_after(first: str, connection: Any, other: Any) -> int:  # noqa: ANN401 - either kind
    """Return how many rows a transaction sees that locks the table when somebody has added one behind `first`."""
    connection.autocommit = False
    cursor = connection.cursor()
    cursor.execute("set transaction isolation level repeatable read")
    cursor.execute(first)
    other.cursor().execute("insert into public.early values (1)")
    cursor.execute("lock table public.early in share mode")
    cursor.execute("select count(*) from public.early")
    [[seen]] = cursor.fetchall()
    connection.rollback()
    return int(seen)


def test_a_commit_in_the_statement_s_text_is_refused_in_a_failed_transaction(pair: dict[str, Any]) -> None:
    """As pg8000 does: the server would roll back and call it done."""
    for connection in (pair["stock"], pair["ours"]):
        with _fresh(connection, autocommit=False):
            assert _outcome(connection, ("select no_such_column", ())) == ("error", "42703")
            assert _outcome(connection, ("commit", ())) == ("refused", None)
