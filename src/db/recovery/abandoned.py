"""Sessions that were lost without the server knowing: their processes may hold locks, so the next session ends them.

A server process that has got a part of a flight waits for the rest in a state for which PostgreSQL up to 16 has no
time-out: neither idle_in_transaction_session_timeout nor statement_timeout ends it. Knows nothing of connections.
"""

from db.clock import FrozenTimeClock
from db.deadline import Clock


class Abandoned:
    """What one environment has lost and not ended yet."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or FrozenTimeClock()
        """Dates the beginnings of sessions."""
        self._lost: dict[int, float] = {}

    def note(self, began_at: float, process_id: int) -> None:
        """Take note of a session that had begun by `began_at` and was lost."""
        self._lost[process_id] = began_at

    def statement(self) -> str | None:
        """Return the statement that ends them; None where there are none."""
        now = self.clock()
        theirs = [
            f"pid = {process_id:d} and backend_start < now() - interval '{now - began_at:f} seconds'"
            for process_id, began_at in self._lost.items()
        ]
        return _ending(theirs) if theirs else None

    def forget(self) -> None:
        """Take them for ended."""
        self._lost.clear()


def _ending(theirs: list[str]) -> str:
    """Return the statement; another process that was given the same id since has begun later, and is spared."""
    sessions = " or ".join(f"({condition})" for condition in theirs)
    ended = "select pg_terminate_backend(pid) from pg_stat_activity"
    return f"{ended} where usename = current_user and pid <> pg_backend_pid() and ({sessions})"
