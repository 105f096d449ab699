"""Decides what is done about a flight that failed: it is sent again, or nothing happened, or nobody knows.

Pure. Work is repeated only where nothing of it can have been committed.
"""

import re
from enum import Enum, auto
from functools import lru_cache

from db.protocol.server_errors import ClosedError, NotLoggedInError, TookTooLongError, is_broken, sqlstate_of

TRANSACTION_TIMEOUT = "25P04"
"""transaction_timeout: it would take as long the next time."""
READ_ONLY_SERVER = "25006"
"""read_only_sql_transaction: a standby, or a primary after a failover. The statement was not executed."""


class Verdict(Enum):
    """What a failed flight means."""

    REPEAT = auto()
    """Nothing can have been committed, and a new session may do it."""
    RAISE = auto()
    """Nothing can have been committed by it; whether to try again is for those who know the whole work."""
    UNKNOWN = auto()
    """It was its own transaction, it may have written, and its answer is lost."""


def verdict(error: BaseException, *, was_idle: bool, begins: bool, reads: bool, asked_read_only: bool) -> Verdict:
    """Return what `error` means for a flight.

    `was_idle`: no transaction was open before it; `begins`: BEGIN was in front of it; `reads`: its statement writes
    nothing; `asked_read_only`: the borrower wants no writes, so that their refusal is the statement's own error.
    """
    if isinstance(error, NotLoggedInError):
        return Verdict.REPEAT
    if sqlstate_of(error) == READ_ONLY_SERVER and not is_broken(error):
        return Verdict.REPEAT if was_idle and not asked_read_only else Verdict.RAISE
    if isinstance(error, ClosedError):
        return Verdict.REPEAT if was_idle else Verdict.RAISE
    if not is_broken(error) or not was_idle or sqlstate_of(error) == TRANSACTION_TIMEOUT:
        return Verdict.RAISE
    if not (begins or reads):
        return Verdict.UNKNOWN
    return Verdict.RAISE if isinstance(error, TookTooLongError) else Verdict.REPEAT


_NOT_A_READ = re.compile(r"\binto\b|\bfor\s+(?:no\s+key\s+)?(?:update|share|key)\b|;|\"\s*\(", re.IGNORECASE)
_CALLED = re.compile(r"([a-z_0-9.$]+)\s*\(", re.IGNORECASE)
_WITHOUT_EFFECT = frozenset(
    """
    abs all and any array_agg as avg between by cast ceil char_length coalesce concat count date_trunc except
    exists extract floor from greatest having ilike in intersect is join json_agg jsonb_agg least left length
    like limit lower max min not now nullif numeric octet_length offset on or over position replace right
    round row_number select string_agg substr substring sum then trim union upper using values varchar when
    where
    """.split()  # noqa: SIM905 - a list of fifty strings is not read more easily
)
"""What may stand before a parenthesis in a statement that writes nothing: keywords, types, and PostgreSQL's own."""


@lru_cache(maxsize=256)
def only_reads(statement: str) -> bool:
    """Say whether the statement is a SELECT that locks nothing and calls no function that might write.

    Told by its text; in doubt it is taken to write. A view whose own functions write is beyond what can be seen.
    """
    text = statement.strip()
    if not re.match(r"(?:select|table|show)\b", text, re.IGNORECASE) or _NOT_A_READ.search(text):
        return False
    return all(name.lower() in _WITHOUT_EFFECT for name in _CALLED.findall(text))
