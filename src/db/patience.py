"""Waits for what knows no deadline no longer than for anything else: the system's calls, its resolver, the SDK.

Between attempts longer each time.
"""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

from db.clock import DAY_S
from db.deadline import Deadline

MOST_DOUBLINGS = 1000
"""A float goes no further: who waits for a quarter of an hour may have asked more often."""

ResultT = TypeVar("ResultT")


def backoff_s(attempt: int, *, first_s: float, longest_s: float) -> float:
    """Return the seconds to wait at most after `attempt` (from 1): `first_s`, doubled each time, up to `longest_s`."""
    return min(longest_s, first_s * 2.0 ** min(attempt - 1, MOST_DOUBLINGS))


def timeout_s(deadline: Deadline, purpose: str = "connect") -> float:
    """Return what is left, as a time-out: an endless one does not fit into the system's clock.

    Raises DeadlineExceededError, which names `purpose`, where nothing is.
    """
    return min(deadline.require(purpose), DAY_S)


def in_time(work: Callable[[], ResultT], deadline: Deadline, purpose: str) -> ResultT:
    """Return what `work`, which raises nothing, comes to; raise TimeoutError, and leave it alone, where it is late.

    Raises DeadlineExceededError, which names `purpose`, and begins nothing, where no time is left.
    """
    wait_s = timeout_s(deadline, purpose)
    answers: SimpleQueue[ResultT] = SimpleQueue()
    Thread(target=lambda: answers.put(work()), daemon=True).start()
    try:
        return answers.get(timeout=wait_s)
    except Empty:
        raise TimeoutError from None
