"""Runs work again where nothing of it can have been committed, as often and as long as that makes sense.

The waits are full jitter (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/), drawn from the
operating system: environments that were restored from one snapshot share the state of Python's generator.
Knows nothing of connections: what it calls raises the errors of db.errors.
"""

import time
from collections.abc import Callable
from random import SystemRandom
from socket import gaierror
from ssl import SSLEOFError, SSLError, SSLZeroReturnError
from typing import TypeVar

from db.errors import ConflictError, ConnectionLostError, ReadOnlyError, SlotwiseError, UnreachableError, causes
from db.patience import backoff_s
from db.protocol.server_errors import sqlstate_behind
from db.tcp import is_unanswered

Result = TypeVar("Result")

REPEATABLE = (ConflictError, ConnectionLostError, ReadOnlyError, UnreachableError)
"""After these nothing has been committed, and the next attempt may fare better."""
STARTING_UP = "57P03"
"""cannot_connect_now: starting up, shutting down, or recovering after a crash."""
FINAL = (gaierror, SSLError)
"""The name, or the server's identity, is wrong: it will be the next time."""
PASSING = (SSLEOFError, SSLZeroReturnError)
"""Those of them that say nothing of it: the server went away in the handshake."""
FIRST_WAIT_S = 0.02
"""Upper end of the first wait, in seconds; it doubles with each attempt."""
LONGEST_WAIT_S = 1.0

_draw = SystemRandom().random


def wait_for_work_s(
    error: SlotwiseError, attempt: int, *, max_attempts: int, left_s: float, draw: Callable[[], float] = _draw
) -> float | None:
    """Return the seconds to wait after `attempt` (from 1) at some work; None where that was the last.

    A server that takes no writes is waited for as long as the work may take: a failover lasts longer than attempts.
    """
    if not isinstance(error, REPEATABLE) or (attempt >= max_attempts and not isinstance(error, ReadOnlyError)):
        return None
    return _jittered(attempt, left_s, draw)


def wait_for_server_s(
    error: SlotwiseError, attempt: int, *, left_s: float, left_to_connect_s: float, draw: Callable[[], float] = _draw
) -> float | None:
    """Return the seconds to wait after `attempt` (from 1) at a connect; None where that was the last.

    A server that says that it is starting up is waited for as long as the work may take (`left_s`), one that is not
    there as long as a connect may take; what a further attempt cannot change is not waited for.
    """
    if not isinstance(error, UnreachableError | ReadOnlyError):
        return None
    if sqlstate_behind(error) == STARTING_UP:
        return _jittered(attempt, left_s, draw)
    if any(map(_is_final, causes(error))):
        return None
    return _jittered(attempt, min(left_s, left_to_connect_s), draw)


def _is_final(cause: BaseException) -> bool:
    return isinstance(cause, FINAL) and not (isinstance(cause, PASSING) or is_unanswered(cause))


def _jittered(attempt: int, left_s: float, draw: Callable[[], float]) -> float | None:
    wait_s = draw() * backoff_s(attempt, first_s=FIRST_WAIT_S, longest_s=LONGEST_WAIT_S)
    return wait_s if wait_s < left_s else None


def _silently(_error: SlotwiseError, _wait_s: float) -> None:
    """Tell nobody."""


def repeat(
    work: Callable[[], Result],
    *,
    wait_s: Callable[[SlotwiseError, int], float | None],
    repeating: Callable[[SlotwiseError, float], None] = _silently,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """Return what `work` returns; `wait_s(error, attempt)` decides after how many seconds it is run again, if at all.

    Tell `repeating` before each further attempt why, and after how many seconds.
    """
    attempt = 1
    while True:
        try:
            return work()
        except SlotwiseError as error:
            if (seconds := wait_s(error, attempt)) is None:
                raise
            repeating(error, seconds)
        sleep(seconds)
        attempt += 1
