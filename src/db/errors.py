"""What can go wrong between a handler and its database, told apart by type and SQLSTATE, never by a message's text.

A statement's own failure (a duplicate, a syntax error) is not here: it stays SQLAlchemy's. Knows nothing of HTTP.
SQLSTATEs: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import ClassVar


class SlotwiseError(Exception):
    """Base of every error that this package raises by itself."""

    kind: ClassVar[str] = "error"
    """A short, bounded name: a metric's dimension, a log's field."""


class ConfigurationError(SlotwiseError):
    """A setting is missing, malformed or not allowed here; the message names it and says what to do."""

    kind = "configuration"


class UnavailableError(SlotwiseError):
    """The database cannot be had now; the same request may succeed later."""

    kind = "unavailable"
    retry_after_s: int = 1
    """After how many seconds the client is asked to come back; an error may carry one of its own."""


class SaturatedError(UnavailableError):
    """The server, the database or the role has no connection slot left (53300)."""

    kind = "saturated"
    retry_after_s = 2


class LoginRefusedError(UnavailableError):
    """The server does not take this user, password or database (28P01, 28000, 42501, 55000, 3D000)."""

    kind = "login_refused"
    retry_after_s = 5


class SecretError(UnavailableError):
    """The secret cannot be read or used; names the secret and the field, never its content."""

    kind = "secret"
    retry_after_s = 5


class UnreachableError(UnavailableError):
    """No connection could be made: name resolution, TCP, TLS, or a server that is starting up (57P03)."""

    kind = "unreachable"
    retry_after_s = 2


class ConnectionLostError(UnavailableError):
    """The connection died while it was borrowed; nothing that was not acknowledged has been committed."""

    kind = "connection_lost"


class CommitUnknownError(UnavailableError):
    """It is not known whether the transaction was committed: the answer was lost, and so was the server.

    `xid` is its id, for `select pg_xact_status(xid)` once the server is back: `committed` or `aborted`. None for a
    statement in autocommit, whose id nobody had asked for.
    """

    kind = "commit_unknown"

    def __init__(self, xid: int | None) -> None:
        super().__init__(f"it is not known whether the transaction was committed; its id is {xid or 'not known'}")
        self.xid = xid


class ReadOnlyError(UnavailableError):
    """The server takes no writes (25006): a standby, or a primary after a failover."""

    kind = "read_only"


class DeadlineExceededError(UnavailableError):
    """What was asked could not be done in the time that the invocation had left."""

    kind = "deadline"


class ConflictError(UnavailableError):
    """The transaction met another one and was rolled back (40001, 40P01, 55P03); it may be run again."""

    kind = "conflict"


class NestedBorrowError(SlotwiseError):
    """A connection was asked for while this environment's only one is borrowed."""

    kind = "nested_borrow"


BY_SQLSTATE: Mapping[str, type[SlotwiseError]] = MappingProxyType(
    {
        "08": ConnectionLostError,
        "25006": ReadOnlyError,
        "25P03": ConnectionLostError,
        "25P04": DeadlineExceededError,
        "28": LoginRefusedError,
        "3D000": LoginRefusedError,
        "40001": ConflictError,
        "40P01": ConflictError,
        "53100": UnavailableError,
        "53200": UnavailableError,
        "53300": SaturatedError,
        "55P03": ConflictError,
        "57014": DeadlineExceededError,
        "57P01": ConnectionLostError,
        "57P02": ConnectionLostError,
        "57P03": UnreachableError,
        "57P05": ConnectionLostError,
        "58030": UnavailableError,
    }
)
"""From SQLSTATE, or its class (first two characters), to the error that a borrow ends with."""


def error_for(sqlstate: str | None) -> type[SlotwiseError] | None:
    """Return the error that stands for `sqlstate`; None where the failure is the statement's own."""
    if sqlstate is None:
        return None
    return BY_SQLSTATE.get(sqlstate) or BY_SQLSTATE.get(sqlstate[:2])


def causes(error: BaseException) -> Iterator[BaseException]:
    """Yield `error`, what it was raised from, and so on."""
    link: BaseException | None = error
    while link is not None:
        yield link
        link = link.__cause__
