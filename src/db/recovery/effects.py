"""What a statement may do that matters when its answer is lost: write, notify, or end the transaction.

Told by its text, once for each text; in doubt it may. What a view's or a caller's own functions do out of sight cannot
be seen: each call of an unknown function counts as a write, but one that only notifies is not known to.
"""

import re
from functools import lru_cache

_NOT_A_READ = re.compile(r"\binto\b|\bfor\s+(?:no\s+key\s+)?(?:update|share|key)\b|;|\"\s*\(|--|/\*", re.IGNORECASE)
"""A comment may stand between a function's name and its parenthesis."""
_CALLED = re.compile(r"([\w.$]+)\s*\(")
_WITHOUT_EFFECT = frozenset(
    """
    abs all and any array_agg as avg between by cast ceil char_length coalesce concat count date_trunc except
    exists extract floor from greatest having ilike in intersect is join json_agg jsonb_agg least left length
    like limit lower max min not now nullif numeric octet_length offset on or over position replace right
    round row_number select string_agg substr substring sum then trim union upper using values varchar when
    where
    pg_advisory_lock pg_advisory_lock_shared pg_try_advisory_lock pg_try_advisory_lock_shared set_config
    """.split()  # noqa: SIM905 - a list of fifty strings is not read more easily
)
"""What may stand before a parenthesis in a statement that changes at most its session: keywords, types, functions."""
_OF_THE_SESSION = re.compile(
    r"(?:set|reset|discard|listen|unlisten|lock|savepoint|release|close"
    r"|rollback(?![^;]*\bprepared\b)|declare(?![^;]*\bhold\b))\b[^;]*\Z",
    re.IGNORECASE,
)
"""Nor does any of them take a snapshot by itself: PostgreSQL takes the transaction's with its first query, and forbids
SET TRANSACTION behind that. A rider would be such a query."""


@lru_cache(maxsize=256)
def only_reads(statement: str) -> bool:
    """Say whether the statement changes nothing in the database: in its session at most.

    That is a SELECT that locks no row and calls no function that might write, and SET, LOCK, SAVEPOINT and the like.
    What a cursor's query does it does where it is fetched from; one WITH HOLD is run to its end by COMMIT.
    """
    text = statement.strip()
    if _OF_THE_SESSION.match(text):
        return True
    if not re.match(r"(?:select|table|show)\b", text, re.IGNORECASE) or _NOT_A_READ.search(text):
        return False
    return all(name.lower() in _WITHOUT_EFFECT for name in _CALLED.findall(text))


_ACTS_LATE = re.compile(r"\b(?:pg_)?notify\b|\bdeclare\b.*\bhold\b", re.IGNORECASE | re.DOTALL)


@lru_cache(maxsize=256)
def may_act_late(statement: str) -> bool:
    """Say whether COMMIT may tell others something, or run a cursor's query: it has had no id until then."""
    return _ACTS_LATE.search(statement) is not None


_NOT_CODE = re.compile(r"'[^']*'|\"[^\"]*\"|\$(\w*)\$.*?\$\1\$|--[^\n]*|/\*.*?\*/", re.DOTALL)
"""Strings, names in quotes, and comments, unless they are escaped or nested."""
_ENDS = re.compile(
    r"(?:\A|;)\s*(?:(?:commit|end|prepare\s+transaction)\b"
    r"|(?:abort|rollback)\b(?!\s+(?:work\s+|transaction\s+)?to\b)[^;]*;\s*[^\s;])",
    re.IGNORECASE,
)
"""What is behind a ROLLBACK in the same text is committed at the text's end."""
_GOES_BACK = re.compile(r"\s*rollback\s+(?:work\s+|transaction\s+)?to\b[^;]*;?\s*\Z", re.IGNORECASE)
_MIGHT_END = re.compile(r"\b(?:commit|end|prepare|abort|rollback)\b", re.IGNORECASE)


@lru_cache(maxsize=256)
def may_end_transaction(statement: str) -> bool:
    """Say whether the text may commit, alone or among several statements; PREPARE TRANSACTION is as good as that."""
    code = _NOT_CODE.sub(" ", statement)
    is_in_doubt = "\\" in statement or "*/" in code
    return (_MIGHT_END.search(statement) if is_in_doubt else _ENDS.search(code)) is not None


@lru_cache(maxsize=256)
def goes_back(statement: str) -> bool:
    """Say whether the text does no more than to go back to a savepoint, for which the server says ROLLBACK, too."""
    return _GOES_BACK.match(statement) is not None


_READ_ONLY = re.compile(
    r"(?:\A|;)\s*(?:set|begin|start)\b[^;]*\bread\s+only\b|(?:\bset\s[^;]*|\bset_config\s*\(\s*')transaction_read_only\b",
    re.IGNORECASE,
)


@lru_cache(maxsize=256)
def asks_read_only(statement: str) -> bool:
    """Say whether the text asks for a transaction that refuses writes; in doubt it does not."""
    return _READ_ONLY.search(statement) is not None
