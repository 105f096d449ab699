"""Decides what is done about a flight that failed: it is sent again, or nothing happened, or nobody knows.

Pure. Work is repeated only where nothing of it can have been committed. What a statement does is told by its text, in
db.recovery.effects.
"""

from dataclasses import dataclass
from enum import Enum, auto

from db.protocol.server_errors import ClosedError, NotLoggedInError, TookTooLongError, is_broken, sqlstate_of

TRANSACTION_TIMEOUT = "25P04"
"""transaction_timeout: it would take as long the next time."""
READ_ONLY_SERVER = "25006"
"""read_only_sql_transaction: a standby, or a primary after a failover. The statement was not executed."""
IDLE_SESSION_TIMEOUT = "57P05"
"""idle_session_timeout: the server says so only while it waits for a command, and executes none that comes later."""


class Verdict(Enum):
    """What a failed flight means."""

    REPEAT = auto()
    """Nothing can have been committed, and a new session may do it."""
    RAISE = auto()
    """Nothing can have been committed by it; whether to try again is for those who know the whole work."""
    UNKNOWN = auto()
    """It may have written and committed that, and its answer is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flight:
    """What is known of a flight."""

    was_idle: bool = False
    """No transaction was open before it."""
    begins: bool = False
    """BEGIN was in front of it."""
    ends: bool = False
    """Its text may end the transaction."""
    is_harmless: bool = False
    """Its statement changes nothing but the session that it runs in."""
    has_stream: bool = False
    """What it sends comes from, or goes to, a stream of the borrower's: it cannot be had a second time."""
    asked_read_only: bool = False
    """The borrower wants no writes, so that their refusal is the statement's own error."""

    @property
    def commits(self) -> bool:
        """Whether what it writes is committed with it, as in autocommit."""
        return self.was_idle and not (self.begins or self.is_harmless)


def verdict(error: BaseException, flight: Flight) -> Verdict:
    """Return what `error` means for the flight that it ended."""
    if isinstance(error, NotLoggedInError):
        return Verdict.REPEAT
    if sqlstate_of(error) == READ_ONLY_SERVER and not is_broken(error):
        return Verdict.REPEAT if flight.was_idle and not flight.asked_read_only else Verdict.RAISE
    if not is_broken(error):
        return Verdict.RAISE
    if isinstance(error, ClosedError) or sqlstate_of(error) == IDLE_SESSION_TIMEOUT:
        return Verdict.REPEAT if flight.was_idle else Verdict.RAISE
    return _when_lost(error, flight)


def _when_lost(error: BaseException, flight: Flight) -> Verdict:
    """Return what it means that the connection was lost when the flight was on its way."""
    if flight.ends:
        return Verdict.UNKNOWN
    if not flight.was_idle or sqlstate_of(error) == TRANSACTION_TIMEOUT:
        return Verdict.RAISE
    if flight.commits:
        return Verdict.UNKNOWN
    return Verdict.RAISE if flight.has_stream or isinstance(error, TookTooLongError) else Verdict.REPEAT
