"""What became of a transaction, told from what a server answers, as a table."""

from collections.abc import Callable

import pytest

from db import Deadline, UnreachableError
from db.protocol.server_errors import DisconnectedError, error_from
from db.recovery.outcome import Outcome, Rows, await_outcome, ending, settled


def answering(*answers: Rows | Exception) -> Callable[[str], Rows]:
    """Answer one after the other, and the last for ever."""
    left = list(answers)

    def ask(_question: str) -> Rows:
        answer = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return ask


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([[["committed"]]], Outcome.COMMITTED),
        ([[["aborted"]]], Outcome.ABORTED),
        ([[["in progress"]], [["true"]], [["aborted"]]], Outcome.ABORTED),
        ([[["in progress"]], [], [["committed"]]], Outcome.COMMITTED),
        ([[["in progress"]]], Outcome.PENDING),
        ([[[None]]], Outcome.PENDING),
        ([None], Outcome.PENDING),
        ([error_from({"C": "22023"})], Outcome.ABORTED),
        ([error_from({"C": "42501"})], Outcome.PENDING),
        ([DisconnectedError("gone")], Outcome.PENDING),
        ([UnreachableError("away")], Outcome.PENDING),
    ],
)
def test_an_answer_is_taken_for_what_it_says(answers: list[Rows | Exception], expected: Outcome) -> None:
    """An id that the server has never given was lost with the server that gave it; what is no answer says nothing."""
    assert settled(7, answering(*answers), at_work=False) is expected


def test_it_is_asked_until_it_is_known() -> None:
    """A server that is away comes back before the deadline."""
    ask = answering(*[UnreachableError("away")] * 7, [["committed"]])
    assert await_outcome(7, ask, Deadline.after(10)) is Outcome.COMMITTED


def test_it_is_not_asked_beyond_the_deadline() -> None:
    """Then it stays unknown."""
    assert await_outcome(7, answering([["in progress"]]), Deadline.after(0.1)) is Outcome.PENDING


def test_a_session_at_work_is_spared_unless_it_is_the_last_call() -> None:
    """A slow COMMIT is waited for."""
    assert "(False or state <> 'active')" in ending(7, at_work=False)
    assert "(True or state <> 'active')" in ending(7, at_work=True)
