"""Waits for what knows no deadline no longer than for anything else: the system's calls, its resolver, the SDK."""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

from db.clock import DAY_S
from db.deadline import Deadline

ResultT = TypeVar("ResultT")


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
