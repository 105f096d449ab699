"""A clock that goes on while the environment is frozen. Knows nothing of what is timed with it.

`time.monotonic` may stand still while Lambda freezes an environment; the wall clock is set right afterwards but may be
set back at any time. What can grow too old (a connection, a sample, a secret) is timed by whichever has gone further.
"""

import time

from db.deadline import Clock

DAY_S = 86400.0


class FrozenTimeClock:
    """Seconds that only go forward, frozen time included; a wall clock that is set back takes none away."""

    def __init__(self, monotonic: Clock = time.monotonic, wall: Clock = time.time) -> None:
        self._monotonic, self._wall = monotonic, wall
        self._ran_at, self._dated = monotonic(), wall()
        self._now = 0.0

    def __call__(self) -> float:
        """Return the seconds since this clock was made."""
        ran_at, dated = self._monotonic(), self._wall()
        self._now += max(ran_at - self._ran_at, dated - self._dated)
        self._ran_at, self._dated = ran_at, dated
        return self._now
