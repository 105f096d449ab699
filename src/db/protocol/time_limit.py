"""The server's own limit of a statement's time: statement_timeout, said only where what the session has does not fit.

A session of ours keeps it from one transaction to the next, so that invocations with about as much time left say
nothing. A pooler's session is not ours: there each transaction says its own. Pure: nothing here sends anything.
https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-STATEMENT-TIMEOUT
"""

from db.deadline import Deadline

SHARE = 0.97
"""How much of the time left the server gives a statement: it gives up a little earlier than the client."""
FITS = (0.94, 0.99)
"""Between which shares of the time left a limit that was said earlier will do."""
MAX_TIMEOUT_MS = 2**31 - 1
"""statement_timeout's largest value; what is longer, and no deadline at all, has no limit."""
UNLIMITED_MS, UNKNOWN_MS = 0, -1


class TimeLimit:
    """What one session was told, in milliseconds; 0 for no limit."""

    def __init__(self) -> None:
        self.is_kept = False
        """Whether the session is ours, so that what it is told outlives the transaction."""
        self._first_ms = self._session_ms = UNLIMITED_MS
        self._said_ms: int | None = None
        """Said in the transaction that is open: the session's once that is committed."""
        self._limited_for: Deadline | None = None
        """The deadline that the open transaction was limited by."""

    def begin_with(self, limit_ms: int) -> None:
        """Take note that the session is ours, and of the limit in its StartupMessage."""
        self.is_kept = True
        self._first_ms = self._session_ms = limit_ms

    # --- what to say ---

    def in_front_of_transaction(self, deadline: Deadline) -> list[str]:
        """Return what goes with BEGIN."""
        self.settle()
        if self.is_kept:
            return self._for_session(deadline)
        return _for_transaction(deadline)

    def in_transaction(self, deadline: Deadline) -> list[str]:
        """Return what goes in front of a later statement: something only where the deadline is another."""
        return [] if self._limited_for is deadline else _for_transaction(deadline)

    def in_front_of_statement(self, deadline: Deadline) -> list[str]:
        """Return what goes in front of a statement that is its own transaction, which ends at the Sync."""
        self.settle()
        if self.is_kept:
            return self._for_session(deadline)
        limit = limit_ms(deadline)
        return [f"select set_config('statement_timeout', '{limit}', true)"] if limit else []

    def _for_session(self, deadline: Deadline) -> list[str]:
        if _fits(self._session_ms, deadline):
            return []
        self._said_ms = limit_ms(deadline)
        return [f"set statement_timeout = {self._said_ms}"]

    # --- what became of it ---

    def limits(self, deadline: Deadline) -> None:
        """Take note that the open transaction has been told of `deadline`."""
        self._limited_for = deadline

    def committed(self) -> None:
        """Take note that what was said holds for the session."""
        if self._said_ms is not None:
            self._session_ms, self._said_ms = self._said_ms, None

    def rolled_back(self) -> None:
        """Take note that what was said is forgotten, as PostgreSQL does with a SET."""
        self._said_ms = None

    def reset(self) -> None:
        """Take note of a DISCARD ALL."""
        self._said_ms, self._session_ms = None, self._first_ms

    def settle(self) -> None:
        """Take note that nothing is known: a transaction ended by a statement's doing instead of ours."""
        if self._said_ms is not None:
            self._said_ms, self._session_ms = None, UNKNOWN_MS
        self._limited_for = None


def limit_ms(deadline: Deadline) -> int:
    """Return the statement_timeout for `deadline`: a little less, so that the server ends it first; 0 for none."""
    left_ms = deadline.remaining_s() * 1000
    return UNLIMITED_MS if left_ms > MAX_TIMEOUT_MS else max(1, int(left_ms * SHARE))


def _for_transaction(deadline: Deadline) -> list[str]:
    limit = limit_ms(deadline)
    return [f"set local statement_timeout = {limit}"] if limit else []


def _fits(session_ms: int, deadline: Deadline) -> bool:
    left_ms = deadline.remaining_s() * 1000
    if left_ms > MAX_TIMEOUT_MS:
        return session_ms == UNLIMITED_MS
    return FITS[0] * left_ms <= session_ms <= FITS[1] * left_ms
