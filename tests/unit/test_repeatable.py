"""What a failed flight means, as a table."""

import pytest

from db.protocol.server_errors import ClosedError, DisconnectedError, TookTooLongError, error_from
from db.recovery.repeatable import Flight, Verdict, verdict

LOST = DisconnectedError("gone")
LATE = TookTooLongError("late")
CLOSED = ClosedError("closed")
READ_ONLY = error_from({"C": "25006", "S": "ERROR", "V": "ERROR"})
DUPLICATE = error_from({"C": "23505", "S": "ERROR", "V": "ERROR"})
TRANSACTION_TIMEOUT = error_from({"C": "25P04", "S": "FATAL", "V": "FATAL"})
TERMINATED = error_from({"C": "57P01", "S": "FATAL", "V": "FATAL"})


IDLED = DisconnectedError("idle-session timeout", {"C": "57P05"})

FIRST = Flight(was_idle=True, begins=True)
COPIES = Flight(was_idle=True, begins=True, has_stream=True)
LATER = Flight()
OWN = Flight(was_idle=True)
"""A transaction of its own, as in autocommit."""
OWN_READ = Flight(was_idle=True, is_harmless=True)
COMMITS = Flight(ends=True)
"""A text that may commit, behind others of its transaction, or alone with BEGIN in front."""
BEGINS_AND_COMMITS = Flight(was_idle=True, begins=True, ends=True)


@pytest.mark.parametrize(
    ("error", "flight", "expected"),
    [
        # the first flight of a transaction: COMMIT has not been sent
        (LOST, FIRST, Verdict.REPEAT),
        (TERMINATED, FIRST, Verdict.REPEAT),
        (LATE, FIRST, Verdict.RAISE),
        # the same with a stream, which has been read: the whole work may do it again
        (LOST, COPIES, Verdict.RAISE),
        (CLOSED, COPIES, Verdict.REPEAT),
        (LOST, Flight(was_idle=True, has_stream=True), Verdict.UNKNOWN),
        # a later one: its results have been seen
        (LOST, Flight(is_harmless=True), Verdict.RAISE),
        (TERMINATED, LATER, Verdict.RAISE),
        # a transaction of its own: it may have been committed, unless it only reads
        (LOST, OWN_READ, Verdict.REPEAT),
        (LOST, OWN, Verdict.UNKNOWN),
        (TERMINATED, OWN, Verdict.UNKNOWN),
        (LATE, OWN_READ, Verdict.RAISE),
        (LATE, OWN, Verdict.UNKNOWN),
        (TRANSACTION_TIMEOUT, FIRST, Verdict.RAISE),
        (TRANSACTION_TIMEOUT, OWN, Verdict.RAISE),
        # a text that may commit: it is in doubt wherever it stands
        (LOST, COMMITS, Verdict.UNKNOWN),
        (LATE, COMMITS, Verdict.UNKNOWN),
        (TERMINATED, BEGINS_AND_COMMITS, Verdict.UNKNOWN),
        (TRANSACTION_TIMEOUT, BEGINS_AND_COMMITS, Verdict.UNKNOWN),
        (CLOSED, COMMITS, Verdict.RAISE),
        (DUPLICATE, COMMITS, Verdict.RAISE),
        # the session had ended before it heard of this
        (IDLED, OWN, Verdict.REPEAT),
        (IDLED, FIRST, Verdict.REPEAT),
        (IDLED, LATER, Verdict.RAISE),
        # nothing was sent
        (CLOSED, OWN, Verdict.REPEAT),
        (CLOSED, LATER, Verdict.RAISE),
        # a server that takes no writes has executed nothing
        (READ_ONLY, OWN, Verdict.REPEAT),
        (READ_ONLY, FIRST, Verdict.REPEAT),
        (READ_ONLY, LATER, Verdict.RAISE),
        # who asked for no writes is told of them
        (READ_ONLY, Flight(was_idle=True, begins=True, asked_read_only=True), Verdict.RAISE),
        # the statement's own error
        (DUPLICATE, FIRST, Verdict.RAISE),
        (DUPLICATE, OWN, Verdict.RAISE),
    ],
)
def test_nothing_is_repeated_that_may_have_been_committed(error: Exception, flight: Flight, expected: Verdict) -> None:
    """By error, and by where in a transaction the flight was."""
    assert verdict(error, flight) is expected
