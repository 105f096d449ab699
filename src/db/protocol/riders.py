"""Small statements that travel in the flight of another one, and what BEGIN says.

Pure: nothing here sends anything.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

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


_MAY_COMMIT = re.compile(r"(\s|--[^\n]*\n|/\*.*?\*/)*(call|do)\b", re.IGNORECASE | re.DOTALL)


def may_commit(statement: str) -> bool:
    """Say whether the statement may end transactions by itself, which PostgreSQL 18 refuses behind another command.

    So nothing goes in front of it in its flight.
    """
    return _MAY_COMMIT.match(statement) is not None
