"""The cursor of a list: opaque to clients, bound to the filter it was made for. Knows nothing of the database."""

import base64
import binascii

from handlers.refusals import RefusedError, malformed

SEPARATOR = "\0"
"""No name can hold it."""
MAX_LENGTH = 4096
"""Characters; two names of 200 characters of four bytes each need half of that."""


def encode(prefix: str, last_name: str) -> str:
    """Return the cursor of the page that follows `last_name` among the names that begin with `prefix`."""
    return base64.urlsafe_b64encode(f"{prefix}{SEPARATOR}{last_name}".encode()).decode().rstrip("=")


def decode(cursor: str, prefix: str) -> str:
    """Return the name that the page follows; raise RefusedError where this is no cursor of ours for `prefix`."""
    made_for, last_name = _parts(cursor)
    if made_for != prefix:
        raise malformed("query.cursor", "was made for another name_prefix: begin at the first page")
    return last_name


def _parts(cursor: str) -> tuple[str, str]:
    padded = cursor + "=" * (-len(cursor) % 4)
    try:
        prefix, last_name = base64.b64decode(padded, altchars=b"-_", validate=True).decode().split(SEPARATOR)
    except (binascii.Error, ValueError):
        raise _foreign() from None
    if encode(prefix, last_name) != cursor.rstrip("="):  # base64 has more than one text for the same bytes
        raise _foreign()
    return prefix, last_name


def _foreign() -> RefusedError:
    return malformed("query.cursor", "is none that this API has given: begin at the first page")
