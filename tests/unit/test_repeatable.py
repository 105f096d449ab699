"""What a failed flight means, and what only reads, as tables."""

import pytest

from db.protocol.server_errors import ClosedError, DisconnectedError, TookTooLongError, error_from
from db.recovery.repeatable import Verdict, only_reads, verdict

LOST = DisconnectedError("gone")
LATE = TookTooLongError("late")
CLOSED = ClosedError("closed")
READ_ONLY = error_from({"C": "25006", "S": "ERROR", "V": "ERROR"})
DUPLICATE = error_from({"C": "23505", "S": "ERROR", "V": "ERROR"})
TRANSACTION_TIMEOUT = error_from({"C": "25P04", "S": "FATAL", "V": "FATAL"})
TERMINATED = error_from({"C": "57P01", "S": "FATAL", "V": "FATAL"})


@pytest.mark.parametrize(
    ("error", "was_idle", "begins", "reads", "expected"),
    [
        # the first flight of a transaction: COMMIT has not been sent
        (LOST, True, True, False, Verdict.REPEAT),
        (TERMINATED, True, True, False, Verdict.REPEAT),
        (LATE, True, True, False, Verdict.RAISE),
        # a later one: its results have been seen
        (LOST, False, False, True, Verdict.RAISE),
        (TERMINATED, False, False, False, Verdict.RAISE),
        # a transaction of its own: it may have been committed, unless it only reads
        (LOST, True, False, True, Verdict.REPEAT),
        (LOST, True, False, False, Verdict.UNKNOWN),
        (LATE, True, False, True, Verdict.RAISE),
        (LATE, True, False, False, Verdict.UNKNOWN),
        (TRANSACTION_TIMEOUT, True, True, False, Verdict.RAISE),
        (TRANSACTION_TIMEOUT, True, False, False, Verdict.RAISE),
        # nothing was sent
        (CLOSED, True, False, False, Verdict.REPEAT),
        (CLOSED, False, False, False, Verdict.RAISE),
        # a server that takes no writes has executed nothing
        (READ_ONLY, True, False, False, Verdict.REPEAT),
        (READ_ONLY, True, True, False, Verdict.REPEAT),
        (READ_ONLY, False, False, False, Verdict.RAISE),
        # the statement's own error
        (DUPLICATE, True, True, False, Verdict.RAISE),
        (DUPLICATE, True, False, False, Verdict.RAISE),
    ],
)
def test_nothing_is_repeated_that_may_have_been_committed(
    error: Exception, *, was_idle: bool, begins: bool, reads: bool, expected: Verdict
) -> None:
    """By error, and by where in a transaction the flight was."""
    found = verdict(error, was_idle=was_idle, begins=begins, reads=reads, asked_read_only=False)
    assert found is expected


def test_who_asked_for_no_writes_is_told_of_them() -> None:
    """In a read-only transaction 25006 is the statement's own error."""
    assert verdict(READ_ONLY, was_idle=True, begins=True, reads=False, asked_read_only=True) is Verdict.RAISE


@pytest.mark.parametrize(
    "statement",
    [
        "select 1",
        " SELECT a, count(*) FROM t WHERE b IN (%s, %s) GROUP BY a HAVING max(c) > 1 ORDER BY lower(a)",
        "select cast(a as varchar(10)) from t",
        "select 1 where exists (select 2)",
        "table t",
        "show server_version",
    ],
)
def test_a_select_of_tables_only_reads(statement: str) -> None:
    """With operators and functions that write nothing."""
    assert only_reads(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "insert into t values (1)",
        "update t set a = 1",
        "with gone as (delete from t returning *) select * from gone",
        "select nextval('s')",
        "select my_function()",
        "select public.my_function(1)",
        'select "MyFunction"(1)',
        'select "count" (1)',
        "select * from t for update",
        "select * from t for no key update skip locked",
        "select * from t for share",
        "select * into u from t",
        "select 1; delete from t",
        "call p()",
        "",
    ],
)
def test_in_doubt_a_statement_writes(statement: str) -> None:
    """Locks, functions of somebody's own, and everything that is no SELECT."""
    assert not only_reads(statement)
