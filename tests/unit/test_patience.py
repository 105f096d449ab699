"""Waiting for what knows no deadline."""

import time
from threading import Event

import pytest

from db import Deadline, DeadlineExceededError
from db.patience import in_time


def test_what_comes_in_time_is_returned() -> None:
    """As it is."""
    assert in_time(lambda: 7, Deadline.after(20), "count") == 7


def test_what_is_late_is_left_alone() -> None:
    """It goes on by itself, and nobody waits for it."""
    may_end = Event()
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        in_time(lambda: may_end.wait(20), Deadline.after(0.1), "wait")
    assert time.monotonic() - began < 5
    may_end.set()


def test_what_no_time_is_left_for_is_not_begun() -> None:
    """And the error says what it was for."""
    begun = Event()
    with pytest.raises(DeadlineExceededError, match="no time left to tell the time"):
        in_time(begun.set, Deadline.after(0), "tell the time")
    assert not begun.wait(0.1)
