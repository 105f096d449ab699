"""Waits for a slot on a server that has none left: jittered, patient while that helps, and with a typed error after.

Waits are drawn from the operating system's randomness: environments cloned from one snapshot share Python's.
"""

import math
import time
from collections.abc import Callable
from random import SystemRandom
from typing import TypeVar

from db.deadline import Clock, Deadline
from db.errors import DeadlineExceededError, SaturatedError, UnreachableError
from db.fleet.policy import next_wait_s, patience_s, pause_s

T = TypeVar("T")
Draw = Callable[[], float]
"""A number from 0 to 1."""

DRAWN: Draw = SystemRandom().random

RETRY_AFTER_S = (1, 5)
"""From when to when the clients that are turned away are asked to come back, each at a moment of its own."""


class Queue:
    """One environment's place among all that want a slot. The server knows of no queue: who asks first gets it."""

    def __init__(
        self,
        longest_s: float,
        deadline: Callable[[], Deadline],
        *,
        draw: Draw = DRAWN,
        sleep: Callable[[float], None] = time.sleep,
        clock: Clock = time.monotonic,
    ) -> None:
        self._longest_s, self._deadline = longest_s, deadline
        self._draw, self._sleep, self._clock = draw, sleep, clock
        self.forget()

    def forget(self) -> None:
        """Have waited for nothing yet, as at the beginning."""
        self._in_vain_at = -math.inf
        self._pauses_until = -math.inf
        self._is_first = True

    def wait_for(self, attempt: Callable[[], T], refused: Callable[[float], None]) -> T:
        """Return what `attempt` returns once there is a slot for it; tell `refused` how long is waited each time.

        Raises SaturatedError, with a Retry-After of its own, when patience or deadline end before that, be it in an
        attempt that is not the first; and without an attempt for a moment after that.
        """
        now = self._clock()
        if now < self._pauses_until:
            raise self._turned_away(SaturatedError("the server had no slot left a moment ago"))
        longest_s = patience_s(self._longest_s, now - self._in_vain_at, is_first=self._is_first)
        patience, self._is_first = self._deadline().within(longest_s), False
        refusal: SaturatedError | None = None
        while True:
            left_s = patience.remaining_s()
            try:
                return attempt()
            except SaturatedError as error:
                self._wait(patience, left_s - patience.remaining_s(), refused, error)
                refusal = error
            except (DeadlineExceededError, UnreachableError) as error:
                was_in_time = isinstance(error, UnreachableError) and patience.remaining_s() > 0
                if refusal is None or was_in_time:
                    raise
                raise self._in_vain(refusal) from error

    def _wait(
        self, patience: Deadline, attempt_s: float, refused: Callable[[float], None], error: SaturatedError
    ) -> None:
        """Wait, unless no time would be left after it for an attempt that takes as long as the last one."""
        left_s = patience.remaining_s()
        wait_s = next_wait_s(left_s, self._draw())
        if wait_s + attempt_s >= left_s:
            refused(0.0)
            raise self._in_vain(error) from error
        refused(wait_s)
        self._sleep(wait_s)

    def _in_vain(self, error: SaturatedError) -> SaturatedError:
        self._in_vain_at = self._clock()
        self._pauses_until = self._in_vain_at + pause_s(self._draw())
        return self._turned_away(error)

    def _turned_away(self, error: SaturatedError) -> SaturatedError:
        earliest_s, latest_s = RETRY_AFTER_S
        turned_away = SaturatedError(*error.args)
        turned_away.retry_after_s = earliest_s + round(self._draw() * (latest_s - earliest_s))
        return turned_away
