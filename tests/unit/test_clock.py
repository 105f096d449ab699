"""Frozen time counts, and time never runs backwards."""

import pytest

from db.clock import FrozenTimeClock


class Clocks:
    """Two clocks that are moved by hand."""

    monotonic_s = 100.0
    wall_s = 1_000_000.0


@pytest.mark.parametrize(
    ("ran_s", "dated_s", "counted_s"),
    [
        pytest.param(5, 5, 5, id="awake"),
        pytest.param(1, 600, 600, id="frozen: only the wall clock went on"),
        pytest.param(5, -3600, 5, id="the wall clock was set back"),
        pytest.param(600, 0, 600, id="the wall clock has not been set right yet"),
    ],
)
def test_the_further_of_two_clocks_counts(ran_s: float, dated_s: float, counted_s: float) -> None:
    """What was frozen for ten minutes is ten minutes older; a clock set back makes nothing younger."""
    clocks = Clocks()
    clock = FrozenTimeClock(lambda: clocks.monotonic_s, lambda: clocks.wall_s)
    before = clock()
    clocks.monotonic_s += ran_s
    clocks.wall_s += dated_s
    assert clock() - before == pytest.approx(counted_s)
