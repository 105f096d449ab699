"""How often Secrets Manager may be asked: each request counts, and one that is sent again counts twice.

A token bucket: what a rotation asks for in a row is there at once, and an outage is asked about now and then, so
that a process that knows nothing yet comes back soon after it. https://en.wikipedia.org/wiki/Token_bucket
"""

import threading

from db.clock import FrozenTimeClock
from db.deadline import Clock

CALLS_AT_ONCE = 6
"""How often one process may ask in a row, whatever happens."""
ONE_MORE_S = 15.0
"""After how many seconds it may ask once more."""


class Calls:
    """The requests that one process may send."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or FrozenTimeClock()
        self._lock = threading.Lock()
        self._level = float(CALLS_AT_ONCE)
        self._level_at = self._clock()

    def left(self) -> int:
        """Return how many more there may be now."""
        with self._lock:
            return int(self._refilled())

    def attempts(self) -> int:
        """Return how many there may be for one question: it is repeated only while nearly none were sent."""
        left = self.left()
        return min(left, 2 if left >= CALLS_AT_ONCE - 1 else 1)

    def take(self) -> bool:
        """Count one that is about to be sent; False where it must not be."""
        with self._lock:
            if may_be_sent := self._refilled() >= 1:
                self._level -= 1
            return may_be_sent

    def note(self) -> None:
        """Count one that is being sent in any case."""
        with self._lock:
            self._level = max(0.0, self._refilled() - 1)

    def _refilled(self) -> float:
        now = self._clock()
        self._level = min(CALLS_AT_ONCE, self._level + (now - self._level_at) / ONE_MORE_S)
        self._level_at = now
        return self._level
