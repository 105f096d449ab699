"""How often Secrets Manager may be asked: each request counts, and one that is sent again counts twice."""

import threading

from db.clock import FrozenTimeClock
from db.deadline import Clock

CALLS_A_MINUTE = 12
"""How often one process may ask, whatever happens."""
MINUTE_S = 60.0


class Calls:
    """The requests of one process in the minute that has passed."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or FrozenTimeClock()
        self._lock = threading.Lock()
        self._at: list[float] = []

    def left(self) -> int:
        """Return how many more there may be now."""
        with self._lock:
            return self._left()

    def take(self) -> bool:
        """Count one that is about to be sent; False where it must not be."""
        with self._lock:
            if may_be_sent := self._left() > 0:
                self._at.append(self._clock())
            return may_be_sent

    def note(self) -> None:
        """Count one that is being sent in any case."""
        with self._lock:
            self._at.append(self._clock())

    def _left(self) -> int:
        now = self._clock()
        self._at = [at for at in self._at if now - at < MINUTE_S]
        return max(0, CALLS_A_MINUTE - len(self._at))
