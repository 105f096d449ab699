"""The sample domain: a table and its statements; functions that take a Connection. Replace with your own.

Knows nothing of HTTP or Lambda, and borrows nothing: who calls decides how long a connection is held.
"""

from records.errors import DuplicateNameError, NotAllowedError, NotFoundError, RecordsError, StaleVersionError
from records.statements import Draft, Key, Page, Record, create, create_many, delete, get, list_page, replace
from records.table import NAME_MAX_LENGTH, metadata, records

__all__ = [
    "NAME_MAX_LENGTH",
    "Draft",
    "DuplicateNameError",
    "Key",
    "NotAllowedError",
    "NotFoundError",
    "Page",
    "Record",
    "RecordsError",
    "StaleVersionError",
    "create",
    "create_many",
    "delete",
    "get",
    "list_page",
    "metadata",
    "records",
    "replace",
]
