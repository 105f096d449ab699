"""The sample domain: a table and its statements; functions that take a Connection. Replace with your own.

Knows nothing of HTTP or Lambda, and borrows nothing: who calls decides how long a connection is held.
"""

from records.errors import (
    DuplicateNameError,
    KeyReusedError,
    NotAllowedError,
    NotFoundError,
    RecordsError,
    StaleVersionError,
)
from records.idempotency import KEY_MAX_LENGTH, claim, keep
from records.rehearsals import REHEARSALS
from records.statements import Draft, Key, Page, Record, create, create_many, delete, get, list_page, replace
from records.table import NAME_MAX_LENGTH, metadata, records

__all__ = [
    "KEY_MAX_LENGTH",
    "NAME_MAX_LENGTH",
    "REHEARSALS",
    "Draft",
    "DuplicateNameError",
    "Key",
    "KeyReusedError",
    "NotAllowedError",
    "NotFoundError",
    "Page",
    "Record",
    "RecordsError",
    "StaleVersionError",
    "claim",
    "create",
    "create_many",
    "delete",
    "get",
    "keep",
    "list_page",
    "metadata",
    "records",
    "replace",
]
