"""What became of a transaction, told from what a server answers, as a table."""

from collections.abc import Callable

import pytest

from db import Deadline, UnreachableError
from db.protocol.server_errors import DisconnectedError, error_from
from db.recovery.outcome import Outcome, Rows, await_outcome, ending, settled
from db.recovery.transaction_id import TransactionId

SEVEN = TransactionId(7, server_start=1, statistics_since=0)
AWAY = UnreachableError("away")


def told(status: str | None, server_start: int = 1, statistics_since: int | None = 0) -> Rows:
    """Return the answer's one row; the server is the one that gave the id unless said otherwise."""
    return [[status, server_start, statistics_since]]


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
        ([told("committed")], Outcome.COMMITTED),
        ([told("aborted")], Outcome.ABORTED),
        ([told("in progress"), [["true"]], told("aborted")], Outcome.ABORTED),
        ([told("in progress"), [["true"]], told("in progress")], Outcome.ENDING),
        ([told("in progress"), [["false"]], told("in progress")], Outcome.PENDING),
        ([told("in progress"), [], told("committed")], Outcome.COMMITTED),
        ([told("in progress"), error_from({"C": "42501"}), told("committed")], Outcome.COMMITTED),
        ([told("in progress")], Outcome.PENDING),
        ([told(None)], Outcome.PENDING),
        ([None], Outcome.PENDING),
        ([error_from({"C": "22023"})], Outcome.ABORTED),
        ([error_from({"C": "42501"})], Outcome.PENDING),
        ([DisconnectedError("gone")], Outcome.PENDING),
        ([AWAY], Outcome.PENDING),
    ],
)
def test_an_answer_is_taken_for_what_it_says(answers: list[Rows | Exception], expected: Outcome) -> None:
    """An id that the server has never given was lost with the server that gave it; what is no answer says nothing."""
    assert settled(SEVEN, answering(*answers), at_work=False) is expected


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        # stopped and started: its statistics were kept, and nothing was recovered
        ([told("committed", server_start=2), [[True]]], Outcome.COMMITTED),
        # a copy of the primary that has taken over
        ([told("committed", server_start=2), [[False]]], Outcome.FORGOTTEN),
        ([told("committed", server_start=2), None], Outcome.FORGOTTEN),
        # a backend has crashed, the server has, another server
        ([told("committed", statistics_since=3)], Outcome.FORGOTTEN),
        ([told("committed", server_start=2, statistics_since=3)], Outcome.FORGOTTEN),
        ([told("committed", server_start=2, statistics_since=None)], Outcome.FORGOTTEN),
        # the id of a commit that was kept is not given again, so this is nobody's commit
        ([told("aborted", server_start=2, statistics_since=3)], Outcome.ABORTED),
    ],
)
def test_a_commit_is_believed_only_where_its_id_is_its_own(answers: list[Rows | Exception], expected: Outcome) -> None:
    """After a crash, and by a standby that took over, ids are given again."""
    assert settled(SEVEN, answering(*answers), at_work=False) is expected


def test_an_old_server_that_does_not_say_since_when_it_counts_is_not_believed() -> None:
    """Up to PostgreSQL 14 a crash could not be told."""
    nothing = TransactionId(7, server_start=1, statistics_since=None)
    ask = answering(told("committed", statistics_since=None))
    assert settled(nothing, ask, at_work=False) is Outcome.FORGOTTEN


def test_it_is_asked_until_it_is_known() -> None:
    """A server that is away comes back before the deadline."""
    ask = answering(*[AWAY] * 7, told("committed"))
    assert await_outcome(SEVEN, ask, Deadline.after(10)) is Outcome.COMMITTED


def test_it_is_asked_once_more_at_the_deadline() -> None:
    """Also where it has passed; after that it stays unknown."""
    assert await_outcome(SEVEN, answering(told("committed")), Deadline.after(0)) is Outcome.COMMITTED
    assert await_outcome(SEVEN, answering(told("in progress")), Deadline.after(0.1)) is Outcome.PENDING


def test_what_is_forgotten_is_not_asked_again() -> None:
    """Nobody will ever know."""
    ask = answering(told("committed", statistics_since=3))
    assert await_outcome(SEVEN, ask, Deadline.after(3600)) is Outcome.FORGOTTEN


def test_a_session_at_work_is_spared_unless_it_is_the_last_call() -> None:
    """A slow COMMIT is waited for."""
    assert "(False or state <> 'active')" in ending(SEVEN, at_work=False)
    assert "(True or state <> 'active')" in ending(SEVEN, at_work=True)


def test_who_has_the_id_on_another_server_is_spared() -> None:
    """Its session is somebody else's."""
    assert "pg_postmaster_start_time()) = 1 " in ending(SEVEN, at_work=True)
    assert "is not distinct from 0" in ending(SEVEN, at_work=True)
