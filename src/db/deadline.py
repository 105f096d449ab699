"""One clock: what this invocation has left for the database. Knows nothing of Lambda's context object."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from db.errors import DeadlineExceededError

Clock = Callable[[], float]
"""Seconds that only go forward, as `time.monotonic`."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on `clock` by which everything that was begun must have ended."""

    expires_at: float
    clock: Clock = time.monotonic

    @classmethod
    def after(cls, seconds: float, clock: Clock = time.monotonic) -> Self:
        """Return the deadline that is `seconds` away; `math.inf` for none."""
        return cls(clock() + seconds, clock)

    def remaining_s(self) -> float:
        """Return the seconds left, never less than 0."""
        return max(0.0, self.expires_at - self.clock())

    def within(self, seconds: float) -> "Deadline":
        """Return the earlier of this deadline and the one that is `seconds` away."""
        return Deadline(min(self.expires_at, self.clock() + seconds), self.clock)

    def require(self, purpose: str) -> float:
        """Return the seconds left; raise DeadlineExceededError, naming `purpose`, where there are none."""
        if (left := self.remaining_s()) > 0:
            return left
        raise DeadlineExceededError(f"no time left to {purpose}")


UNBOUNDED = Deadline(math.inf)
"""For work outside an invocation: migrations, tools, tests."""
