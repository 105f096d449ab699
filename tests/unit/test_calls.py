"""How often one process asks Secrets Manager."""

from db.credentials.calls import CALLS_A_MINUTE, Calls
from tests.faults.clock import Clock


def test_a_minute_has_so_many_requests_and_no_more() -> None:
    """Each is counted for a minute; one that is sent in any case counts, too."""
    clock = Clock()
    calls = Calls(clock)
    calls.note()
    assert [calls.take() for _ in range(CALLS_A_MINUTE)] == [True] * (CALLS_A_MINUTE - 1) + [False]
    clock.advance(59)
    assert not calls.take()
    clock.advance(1)
    assert calls.left() == CALLS_A_MINUTE
    calls.note()
    assert calls.left() == CALLS_A_MINUTE - 1
