"""Turns what the driver and SQLAlchemy raise into the errors of db.errors; the cause is kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from ssl import SSLCertVerificationError

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, PendingRollbackError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from db.errors import (
    ConnectionLostError,
    LoginRefusedError,
    NestedBorrowError,
    SlotwiseError,
    UnreachableError,
    error_for,
)
from db.masking import without_frames, without_frames_of
from db.protocol.connection import is_broken, sqlstate_of
from db.protocol.server_errors import DisconnectedError, DriverError

PROTOCOL_VIOLATION = "08P01"
"""Of a statement, and not of the connection's end, it says that there are more values than placeholders, or fewer."""

NOT_LET_IN = frozenset({"42501", "55000"})
"""Of a connect, that the role may not CONNECT, or that nobody may (ALLOW_CONNECTIONS); of a statement they are its own.

https://www.postgresql.org/docs/current/sql-createdatabase.html
"""

HOLD_VALUES = (
    *("sqlalchemy", "db.protocol", "db.statements"),
    *("db.recovery.lasting", "db.recovery.resolving", "db.recovery.silence"),
)
"""Whose frames have a statement's values in hand, whatever fails there or below; db.recovery.retry runs handlers."""


def translated(error: BaseException, *, when_broken: type[SlotwiseError]) -> SlotwiseError | None:
    """Return our error for `error`; None where it is the statement's or the handler's own."""
    if isinstance(error, PoolTimeoutError):
        return NestedBorrowError("all connections of this environment are borrowed: end one borrow before the next")
    origin = _origin(error)
    said, is_lost = sqlstate_of(origin), is_broken(origin)
    if (found := error_for(said)) and (is_lost or said != PROTOCOL_VIOLATION):
        return found(f"{found.__doc__} SQLSTATE {said}")
    return when_broken(when_broken.__doc__) if is_lost else None


def sqlstate(error: BaseException) -> str | None:
    """Return the SQLSTATE behind an error of the driver's or SQLAlchemy's; None where the server has not spoken."""
    return sqlstate_of(_origin(error))


def _origin(error: BaseException) -> BaseException:
    """Return the driver's error behind SQLAlchemy's."""
    return error.orig or error if isinstance(error, DBAPIError) else error


def connect_failure(error: Exception) -> SlotwiseError:
    """Return what a connect that failed with `error` ends with: the server's reason, or UnreachableError."""
    if (said := sqlstate_of(error)) in NOT_LET_IN:
        return LoginRefusedError(f"{LoginRefusedError.__doc__} SQLSTATE {said}")
    if error_for(said) is None:
        return UnreachableError(_reason(error))
    return translated(error, when_broken=UnreachableError) or UnreachableError(UnreachableError.__doc__)


def _reason(error: Exception) -> str:
    """Say why there is no connection; only what the driver says itself is repeated."""
    reason = str(error) if isinstance(error, DisconnectedError) else type(error).__name__
    hint = "; DB_TLS_CA says whom to trust" if isinstance(error.__cause__, SSLCertVerificationError) else ""
    return f"{UnreachableError.__doc__} {reason}{hint}"


def cause_to_show(error: Exception) -> Exception | None:
    """Return the error of a failed connect without its frames; None where its kind may hold what was to be sent."""
    return without_frames(error) if isinstance(error, OSError | DriverError) else None


@contextmanager
def borrowing() -> Iterator[None]:
    """Raise ConnectionLostError, or the server's reason, for what fails inside and is not the statement's own."""
    try:
        yield
    except BaseException as error:  # the one place where any error is looked at; what is not ours goes on
        without_frames_of(error, HOLD_VALUES)
        if found := translated(error, when_broken=ConnectionLostError):
            raise found from error
        raise


@contextmanager
def repeating_a_loss(connection: Connection) -> Iterator[None]:
    """Tell a handler that goes on after it has lost `connection` the same again: ConnectionLostError.

    SQLAlchemy refuses to go on in the same words where a flush has failed, which is the handler's own business.
    """
    try:
        yield
    except PendingRollbackError as error:
        if connection.invalidated:
            raise ConnectionLostError(ConnectionLostError.__doc__) from error
        raise


def kind_of(error: BaseException) -> str:
    """Return a short, bounded name for what a borrow ended with."""
    if isinstance(error, SlotwiseError):
        return error.kind
    return "statement" if isinstance(error, SQLAlchemyError) else "handler"
