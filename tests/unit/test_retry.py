"""Run again or give up, as a table, and the loop around it."""

from socket import EAI_AGAIN, EAI_NONAME, gaierror
from ssl import SSLCertVerificationError, SSLEOFError, SSLError, SSLZeroReturnError

import pytest

from db import (
    ConflictError,
    ConnectionLostError,
    DeadlineExceededError,
    LoginRefusedError,
    NestedBorrowError,
    ReadOnlyError,
    SaturatedError,
    SlotwiseError,
    UnreachableError,
)
from db.errors import CommitUnknownError
from db.protocol.server_errors import DisconnectedError
from db.recovery.retry import LONGEST_WAIT_S, repeat, wait_for_server_s, wait_for_work_s


@pytest.mark.parametrize("error", [ConflictError, ConnectionLostError, ReadOnlyError, UnreachableError])
def test_what_committed_nothing_is_repeated(error: type[SlotwiseError]) -> None:
    """The transaction did not happen, and may the next time."""
    assert wait_for_work_s(error(), 1, max_attempts=2, left_s=1, draw=lambda: 0.5) == 0.01


@pytest.mark.parametrize(
    "error",
    [
        CommitUnknownError(7),
        DeadlineExceededError(),
        LoginRefusedError(),
        NestedBorrowError(),
        SaturatedError(),
    ],
)
def test_what_may_have_been_committed_or_waited_for_is_not(error: SlotwiseError) -> None:
    """A commit in doubt is never repeated; a slot was waited for already."""
    assert wait_for_work_s(error, 1, max_attempts=2, left_s=1) is None


@pytest.mark.parametrize(("left_s", "expected"), [(10.0, 0.5), (0.4, None)])
def test_a_failover_is_waited_for_beyond_the_count(left_s: float, expected: float | None) -> None:
    """A server that takes no writes executes nothing; the deadline bounds it."""
    assert wait_for_work_s(ReadOnlyError(), 30, max_attempts=2, left_s=left_s, draw=lambda: 0.5) == expected


def test_who_waits_for_a_quarter_of_an_hour_waits_on() -> None:
    """As long as Lambda lets a function run: a failover's end may be asked for a thousand times and more."""
    assert wait_for_work_s(ReadOnlyError(), 100_000, max_attempts=2, left_s=9.0, draw=lambda: 1.0) == 1.0


@pytest.mark.parametrize(
    ("attempt", "left_s", "expected"),
    [
        (1, 10.0, 0.02),
        (2, 10.0, 0.04),
        (3, 10.0, 0.08),
        (9, 10.0, LONGEST_WAIT_S),
        (9, 0.5, None),
        (10, 10.0, None),
        (1, 0.0, None),
    ],
)
def test_the_wait_doubles_up_to_a_limit(attempt: int, left_s: float, expected: float | None) -> None:
    """Bounded by the longest wait, by the deadline, and by the count."""
    wait_s = wait_for_work_s(ConflictError(), attempt, max_attempts=10, left_s=left_s, draw=lambda: 1.0)
    assert wait_s == expected


def test_work_that_succeeds_in_the_end_is_returned() -> None:
    """Each repeat is told with its reason."""
    told: list[SlotwiseError] = []
    outcomes: list[SlotwiseError | str] = [ConflictError("a"), ConnectionLostError("b"), "done"]

    def work() -> str:
        outcome = outcomes.pop(0)
        if isinstance(outcome, SlotwiseError):
            raise outcome
        return outcome

    result = repeat(
        work,
        wait_s=lambda _error, _attempt: 0.0,
        repeating=lambda error, _wait_s: told.append(error),
        sleep=lambda _: None,
    )
    assert (result, [str(error) for error in told]) == ("done", ["a", "b"])


def test_work_that_never_succeeds_ends_with_its_own_error() -> None:
    """After the last attempt the error is the one that the work raised."""
    attempts = []

    def work() -> None:
        attempts.append(1)
        raise ConflictError("again")

    with pytest.raises(ConflictError, match="again"):
        repeat(work, wait_s=lambda _error, attempt: 0.0 if attempt < 3 else None, sleep=lambda _: None)
    assert len(attempts) == 3


def unreachable(cause: Exception) -> UnreachableError:
    error = UnreachableError()
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "left_s", "left_to_connect_s", "expected"),
    [
        (unreachable(DisconnectedError("refused")), 9.0, 5.0, 0.02),
        (unreachable(DisconnectedError("refused")), 9.0, 0.0, None),
        (unreachable(DisconnectedError("starting", {"C": "57P03"})), 9.0, 0.0, 0.02),
        (unreachable(DisconnectedError("starting", {"C": "57P03"})), 0.0, 0.0, None),
        (unreachable(SSLError()), 9.0, 5.0, None),
        (unreachable(SSLCertVerificationError()), 9.0, 5.0, None),
        (unreachable(SSLEOFError()), 9.0, 5.0, 0.02),
        (unreachable(SSLZeroReturnError()), 9.0, 5.0, 0.02),
        (unreachable(gaierror(EAI_NONAME, "not known")), 9.0, 5.0, None),
        (unreachable(gaierror(EAI_AGAIN, "no answer")), 9.0, 5.0, 0.02),
        (unreachable(gaierror(EAI_AGAIN, "no answer")), 9.0, 0.0, None),
        (SaturatedError(), 9.0, 5.0, None),
        (LoginRefusedError(), 9.0, 5.0, None),
    ],
)
def test_a_server_is_waited_for_as_long_as_it_makes_sense(
    error: SlotwiseError, left_s: float, left_to_connect_s: float, expected: float | None
) -> None:
    """One that says it starts up, up to the deadline; one that is not there, as long as a connect may take."""
    found = wait_for_server_s(error, 1, left_s=left_s, left_to_connect_s=left_to_connect_s, draw=lambda: 1.0)
    assert found == expected
