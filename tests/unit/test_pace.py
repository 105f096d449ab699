"""What an environment learns of its own borrows."""

import pytest

from db.fleet.pace import Pace


def test_what_is_usual_follows_what_happens() -> None:
    """A steady pace is learnt exactly; a new one is taken up within some borrows."""
    pace, now = Pace(), 0.0
    for held_s, idle_s in [(0.1, 2.0)] * 5 + [(0.5, 60.0)] * 20:
        pace.asked(now)
        pace.returned(now + held_s, now)
        if now < 10:
            assert pace.held_s == pytest.approx(0.1)
        now += held_s + idle_s
    assert pace.held_s == pytest.approx(0.5, rel=0.05)
    assert pace.idle_s == pytest.approx(60, rel=0.05)


def test_a_night_of_sleep_is_soon_forgotten() -> None:
    """One very long pause among short ones does not make an environment believe that it is hardly ever used."""
    pace, now = Pace(), 0.0
    for idle_s in [1.0] * 5 + [30_000.0] + [1.0] * 8:
        pace.asked(now)
        pace.returned(now + 0.01, now)
        now += idle_s
    assert pace.idle_s is not None
    assert pace.idle_s < 2


def test_nothing_is_usual_before_it_has_happened() -> None:
    """Before the second borrow nobody knows how long connections idle here."""
    pace = Pace()
    pace.asked(1.0)
    assert (pace.held_s, pace.idle_s) == (None, None)
    pace.returned(1.5, 1.0)
    assert (pace.held_s, pace.idle_s) == (0.5, None)
    pace.asked(2.0)
    pace.asked(9.0)
    assert (pace.held_s, pace.idle_s) == (0.5, 0.5)
