"""Which statements tie a client to one session of a pooler: what RDS Proxy pins, and PgBouncer mixes up. Pure.

https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy-pinning.html#rds-proxy-pinning.postgres
"""

import re
from functools import lru_cache

from db.statements.residue import may_leave

MAX_BYTES = 16 * 1024
"""A longer statement pins, whatever it says."""

_SEQUENCES = re.compile(r"\b(?:nextval|setval|currval|lastval)\s*\(", re.IGNORECASE)
_CURSORS = re.compile(r"\s*declare\b", re.IGNORECASE)


@lru_cache(maxsize=256)
def pinned_by(statement: str) -> str | None:
    """Return why the statement would pin the session; None where it does not."""
    if may_leave(statement):
        return "it changes the session"
    if _SEQUENCES.search(statement):
        return "it calls a sequence's function: let the column's default do it"
    if _CURSORS.match(statement):
        return "it declares a cursor"
    size = len(statement.encode())
    return f"it has {size} bytes, over {MAX_BYTES}" if size > MAX_BYTES else None
