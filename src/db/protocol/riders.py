"""Small statements that travel in the flight of another one, and the decision which of them go in front.

Pure: nothing here sends anything.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from db.deadline import Deadline

IDLE, IN_TRANSACTION, FAILED = b"I", b"T", b"E"
"""ReadyForQuery's transaction status."""


@dataclass(frozen=True, slots=True)
class Rider:
    """A statement without values that costs no flight, and who gets its first row (None where there is none)."""

    statement: str
    deliver: Callable[[Sequence[Any] | None], None]


NextRider = Callable[[], Rider | None]
"""Asked once for each flight that a rider may join; None for none this time."""


def nobody() -> Rider | None:
    """Let none ride."""
    return None


@dataclass(slots=True)
class TransactionModes:
    """What BEGIN says; None is the server's default."""

    isolation_level: str | None = None
    read_only: bool | None = None
    deferrable: bool | None = None

    def begin(self) -> str:
        """Return the BEGIN that opens a transaction in these modes."""
        return " ".join(["begin transaction", *self._words()])

    def _words(self) -> list[str]:
        words = [f"isolation level {self.isolation_level.lower()}"] if self.isolation_level else []
        if self.read_only is not None:
            words.append("read only" if self.read_only else "read write")
        if self.deferrable is not None:
            words.append("deferrable" if self.deferrable else "not deferrable")
        return words

    def outside(self) -> list[str]:
        """Return what gives a single statement these modes, where they mean anything to it."""
        if self.read_only is None:
            return []
        return [f"select set_config('transaction_read_only', '{'on' if self.read_only else 'off'}', true)"]


def server_limit_ms(deadline: Deadline) -> int | None:
    """Return the statement_timeout for `deadline`: a little less, so that the server ends it first; None for none."""
    left_ms = deadline.remaining_s() * 1000
    if left_ms > MAX_TIMEOUT_MS:
        return None
    return max(1, int(left_ms - min(MARGIN_MS, left_ms / 10)))


MARGIN_MS = 100
"""How much earlier than the client the server gives up, at most; a tenth of the time where that is less."""
MAX_TIMEOUT_MS = 2**31 - 1
"""statement_timeout's largest value; what is longer, and no deadline at all, has no limit."""


_MAY_COMMIT = re.compile(r"(\s|--[^\n]*\n|/\*.*?\*/)*(call|do)\b", re.IGNORECASE | re.DOTALL)


def may_commit(statement: str) -> bool:
    """Say whether the statement may end transactions by itself, which PostgreSQL 18 refuses behind another command.

    So nothing goes in front of it; with autocommit its time is limited from here alone, by cancelling it.
    """
    return _MAY_COMMIT.match(statement) is not None


def travelling_in_front(
    status: bytes, modes: TransactionModes, deadline: Deadline | None, *, autocommit: bool
) -> list[str]:
    """Return the commands that go in front of a statement; `deadline` is None where the server knows it already."""
    if status == FAILED:
        return []
    begins = status == IDLE and not autocommit
    limit_ms = server_limit_ms(deadline) if deadline else None
    if begins or status == IN_TRANSACTION:
        limit = [] if limit_ms is None else [f"set local statement_timeout = {limit_ms}"]
        return [modes.begin(), *limit] if begins else limit
    # Alone, they are part of the statement's implicit transaction, which ends at the Sync.
    limit = [] if limit_ms is None else [f"select set_config('statement_timeout', '{limit_ms}', true)"]
    return [*modes.outside(), *limit]
