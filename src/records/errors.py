"""What the records refuse, as types. Knows nothing of HTTP: a table in handlers says which answer each one gets."""


class RecordsError(Exception):
    """Base of what the records refuse; the message is for the client and holds none of its values."""


class NotFoundError(RecordsError):
    """There is no such record."""


class DuplicateNameError(RecordsError):
    """A record of this name exists already."""


class NotAllowedError(RecordsError):
    """The table's checks refuse the record."""


class StaleVersionError(RecordsError):
    """The record has changed since the client read it."""


class KeyReusedError(RecordsError):
    """An idempotency key was used before, for something else."""
