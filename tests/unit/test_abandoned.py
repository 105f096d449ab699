"""Sessions that were lost are ended once, and nobody else's."""

from db.recovery.abandoned import Abandoned
from tests.faults.clock import Clock


def test_a_lost_session_is_ended_once() -> None:
    """By its process id, and by its age, since ids are given again."""
    clock = Clock(100.0)
    abandoned = Abandoned(clock)
    abandoned.note(90.0, 4711)
    clock.advance(5)
    statement = abandoned.statement() or ""
    assert "(pid = 4711 and backend_start < now() - interval '15.000000 seconds')" in statement
    abandoned.forget()
    assert abandoned.statement() is None


def test_nothing_is_asked_where_nothing_was_lost() -> None:
    """No flight for nothing."""
    assert Abandoned(Clock()).statement() is None
