"""One clock, and what it leaves."""

import math

import pytest

from db import Deadline, DeadlineExceededError
from db.deadline import UNBOUNDED


class Clock:
    """A clock that the test moves."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_is_left_shrinks_to_nothing_and_no_further() -> None:
    """Seconds left are never negative."""
    clock = Clock()
    deadline = Deadline.after(2, clock)
    seen = []
    for now in (100.0, 101.5, 103.0):
        clock.now = now
        seen.append(deadline.remaining_s())
    assert seen == [2.0, 0.5, 0.0]


def test_within_takes_the_earlier_of_two() -> None:
    """An attempt's own limit never outlives the invocation."""
    deadline = Deadline.after(2, Clock())
    assert (deadline.within(1).remaining_s(), deadline.within(9).remaining_s()) == (1.0, 2.0)


def test_no_time_left_is_a_typed_error_that_says_for_what() -> None:
    """Nothing is begun that cannot end in time."""
    with pytest.raises(DeadlineExceededError, match="no time left to connect"):
        Deadline.after(-1, Clock()).require("connect")


def test_unbounded_work_never_runs_out() -> None:
    """Migrations and tools have no invocation around them."""
    assert UNBOUNDED.remaining_s() == math.inf
