"""Runs work again where nothing of it can have been committed, as often and as long as that makes sense.

The waits are full jitter (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), drawn from the
operating system: environments that were restored from one snapshot share the state of Python's generator.
Knows nothing of connections: what it calls raises the errors of db.errors.
"""

import time
from collections.abc import Callable
from random import SystemRandom
from typing import TypeVar

from db.deadline import Deadline
from db.errors import ConflictError, ConnectionLostError, ReadOnlyError, SlotwiseError, UnreachableError

Result = TypeVar("Result")

REPEATABLE = (ConflictError, ConnectionLostError, ReadOnlyError, UnreachableError)
"""After these nothing has been committed, and the next attempt may fare better."""
FIRST_WAIT_S = 0.02
"""Upper end of the first wait; it doubles with each attempt."""
LONGEST_WAIT_S = 1.0

_draw = SystemRandom().random


def wait_before_next_s(
    error: BaseException, *, attempt: int, max_attempts: int, left_s: float, draw: Callable[[], float] = _draw
) -> float | None:
    """Return the seconds to wait after `attempt` (from 1) ended with `error`; None where that was the last."""
    if not isinstance(error, REPEATABLE) or attempt >= max_attempts:
        return None
    wait_s = draw() * min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (attempt - 1))
    return wait_s if wait_s < left_s else None


def repeat(
    work: Callable[[], Result],
    *,
    deadline: Deadline,
    max_attempts: int,
    repeating: Callable[[SlotwiseError, float], None],
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """Return what `work` returns; tell `repeating` before each further attempt why, and after how many seconds."""
    attempt = 1
    while True:
        try:
            return work()
        except SlotwiseError as error:
            left_s = deadline.remaining_s()
            wait_s = wait_before_next_s(error, attempt=attempt, max_attempts=max_attempts, left_s=left_s)
            if wait_s is None:
                raise
            repeating(error, wait_s)
        sleep(wait_s)
        attempt += 1
