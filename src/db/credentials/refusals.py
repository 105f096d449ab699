"""How often a server that refuses to let us in is asked again: a wrong password must not hammer an account.

Knows nothing of secrets: it counts the connects that ended with every login refused.
"""

import math
import random
import threading

from db.clock import FrozenTimeClock
from db.deadline import Clock
from db.errors import LoginRefusedError
from db.patience import backoff_s

FIRST_PAUSE_S = 5.0
LONGEST_PAUSE_S = 60.0


def pause_s(refused: int, jitter: float) -> float:
    """Return the seconds to stay away after `refused` connects in a row; `jitter`, from 0 to 1, takes up to a fifth."""
    return backoff_s(refused, first_s=FIRST_PAUSE_S, longest_s=LONGEST_PAUSE_S) * (1 - jitter / 5)


class Refusals:
    """What one process remembers of logins that were refused."""

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or FrozenTimeClock()
        self._lock = threading.Lock()
        self._round = 0
        """Goes on with each refusal that counts and each success."""
        self._count = 0
        self._last = self._clock()
        self._pause_s = 0.0
        self._reason = ""
        """What was said of the last refusal that counts."""

    def require_pause_is_over(self) -> int:
        """Return which round a connect is of that begins now.

        Raise LoginRefusedError, without asking anybody, while the pause after the last refusal lasts: it says why, and
        for how long.
        """
        with self._lock:
            if self._left_s() <= 0:
                return self._round
            often = f"the server refused every login {self._count} times in a row"
            raise self._error(f"{often}: not asked again for {self._left_s():.0f} s; the last time: {self._reason}")

    def refused(self, begun: int, reason: str) -> LoginRefusedError:
        """Take note that every login of a connect that began in round `begun` was refused; return what to raise.

        That counts unless another connect was refused or let in meanwhile: of many at once only the first says
        something new, and none does where the server takes a login by now. `reason` holds nothing that is secret.
        """
        with self._lock:
            if begun == self._round:
                self._round += 1
                self._count += 1
                self._last, self._reason = self._clock(), reason
                self._pause_s = pause_s(self._count, random.SystemRandom().random())  # a snapshot's copies share others
            return self._error(reason)

    def _error(self, reason: str) -> LoginRefusedError:
        error = LoginRefusedError(reason)
        error.retry_after_s = max(1, math.ceil(self._left_s()))
        return error

    def _left_s(self) -> float:
        return self._pause_s - (self._clock() - self._last)

    def accepted(self) -> None:
        """Take note that a login succeeded: all is forgotten."""
        with self._lock:
            self._round += 1
            self._count, self._pause_s = 0, 0.0
