"""How often one process asks Secrets Manager."""

from db.credentials.calls import CALLS_AT_ONCE, ONE_MORE_S, Calls
from tests.faults.clock import Clock


def test_so_many_requests_are_sent_in_a_row_and_no_more() -> None:
    """Each is counted; one that is sent in any case counts, too, and none is owed for it."""
    calls = Calls(Clock())
    calls.note()
    assert [calls.take() for _ in range(CALLS_AT_ONCE)] == [True] * (CALLS_AT_ONCE - 1) + [False]
    calls.note()
    assert calls.left() == 0


def test_one_more_is_sent_each_few_seconds() -> None:
    """Whatever happens, an outage is asked about again soon, and not often."""
    clock = Clock()
    calls = Calls(clock)
    while calls.take():
        pass
    for _ in range(3):
        clock.advance(ONE_MORE_S)
        assert [calls.take(), calls.take()] == [True, False]
    clock.advance(ONE_MORE_S * CALLS_AT_ONCE * 2)
    assert calls.left() == CALLS_AT_ONCE


def test_a_question_is_repeated_only_while_nearly_none_were_sent() -> None:
    """What fails and fails is asked for once a time, so that requests are left for when it does not."""
    calls = Calls(Clock())
    assert calls.attempts() == 2
    calls.take()
    assert calls.attempts() == 2
    calls.take()
    assert calls.attempts() == 1
    for _ in range(CALLS_AT_ONCE):
        calls.take()
    assert calls.attempts() == 0
