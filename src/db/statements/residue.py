"""Which statements may leave something in the session that the next borrower must not meet.

Told by the statement's text, once for each text, so that a session in which nothing was left costs no flight to clean.
A statement in doubt counts as leaving something. What a function does out of sight cannot be seen: one that sets
session state must be called through CALL or DO, or be followed by a RESET of its own.
"""

import re
from functools import lru_cache

_COMMENT = r"(?>\s+|--[^\n]*\n|/\*.*?\*/)*+"
_COMMANDS = re.compile(
    _COMMENT
    + r"(?:(?:set(?!\s+(?:local|transaction|constraints)\b)|reset|listen|prepare|load|do|call|discard)\b"
    + r"|declare\b.*\bwith\s+hold)",
    re.IGNORECASE | re.DOTALL,
)
"""At a statement's beginning. SET LOCAL ends with the transaction, and a cursor without HOLD too."""
_CALLS = re.compile(
    r"\bpg_(?:try_)?advisory_lock(?:_shared)?\b|\bdblink_connect\b|\bpg_temp(?:_\d+)?\b"
    r"|\bupdate\b[^;]*\bpg_settings\b"
    r"|\b(?:into|create(?:\s+or\s+replace)?)\s+(?:local\s+|global\s+)?temp(?:orary)?\b"
    r"|\bset_config\s*\((?![^()]*,\s*true\s*\))|\bcursor_to_xml\b|\bsetseed\b|;\s*[^\s;]",
    re.IGNORECASE,
)
"""Anywhere in a statement. Advisory locks of the transaction, and set_config(..., true), end with it; where several
statements are in one text, the later ones are in doubt."""


@lru_cache(maxsize=256)
def may_leave(statement: str) -> bool:
    """Say whether the session may be different for the next borrower after `statement`."""
    return bool(_COMMANDS.match(statement) or _CALLS.search(statement))
