"""The driver's errors with their SQLSTATE: what the server said, and the one error for a connection that is gone.

They are DBAPI's classes, so that SQLAlchemy wraps them as its own. Knows nothing of sockets.
Fields: https://www.postgresql.org/docs/current/protocol-error-fields.html
"""

from collections.abc import Mapping
from types import MappingProxyType

from pg8000 import dbapi

from db.protocol.disclosure import shown

Fields = Mapping[str, str]
"""An ErrorResponse: field type to text, as pg8000 gives it ("C" is the SQLSTATE, "M" the message)."""

DriverError = dbapi.Error
"""What every error of the driver's is, pg8000's own ones too."""

FATAL_SEVERITIES = frozenset({"FATAL", "PANIC"})
"""After these the server closes the connection."""


class QuietFields(dict[str, str]):
    """All fields of a message, for who asks for one; printed, only what may be shown."""

    def __repr__(self) -> str:
        return f"<{shown(self)}>"


class ServerError(dbapi.DatabaseError):
    """What the server answered; `args[0]` holds all fields, as with pg8000."""

    def __init__(self, fields: Fields) -> None:
        super().__init__(QuietFields(fields))
        self.fields = QuietFields(fields)

    @property
    def sqlstate(self) -> str | None:
        """The five characters that say what happened."""
        return self.fields.get("C")

    @property
    def is_fatal(self) -> bool:
        """Say whether the server closes the connection after this."""
        return self.fields.get("V", self.fields.get("S")) in FATAL_SEVERITIES

    def __str__(self) -> str:
        """Give what may be shown; a text that may quote values stays in `fields`, as DETAIL does."""
        return shown(self.fields)


class ServerDataError(ServerError, dbapi.DataError):
    """22: a value that does not fit."""


class ServerIntegrityError(ServerError, dbapi.IntegrityError):
    """23: a constraint is violated."""


class ServerInternalError(ServerError, dbapi.InternalError):
    """XX, 25P02 and the like: the server's or the transaction's own state."""


class ServerNotSupportedError(ServerError, dbapi.NotSupportedError):
    """0A: the server has no such feature."""


class ServerOperationalError(ServerError, dbapi.OperationalError):
    """08, 28, 40, 53, 55, 57, 58: not the statement's fault."""


class NotLoggedInError(ServerOperationalError):
    """A login that was to end with the first flight was refused: nothing that was in it has been done."""


class ServerProgrammingError(ServerError, dbapi.ProgrammingError):
    """42 and all the rest: the statement is wrong."""


class DisconnectedError(dbapi.OperationalError):
    """The connection is gone; `sqlstate` is what the server said before it closed, None where it said nothing."""

    def __init__(self, reason: str, fields: Fields = MappingProxyType({})) -> None:
        super().__init__(reason)
        self.fields = fields

    @property
    def sqlstate(self) -> str | None:
        """The server's last word."""
        return self.fields.get("C")


class ClosedError(dbapi.InterfaceError):
    """The connection was closed, or given up after it broke."""

    sqlstate = None


class TookTooLongError(DisconnectedError):
    """The deadline passed and the server could not be stopped in time; the connection is given up."""


class NoStreamError(dbapi.InterfaceError):
    """COPY FROM STDIN was asked for without a stream; as the server waits for the data, the connection is given up."""

    sqlstate = None


class InFailedTransactionError(dbapi.InterfaceError):
    """COMMIT was asked for in a failed transaction, and the server rolled back."""

    sqlstate = "25P02"


class TooLargeError(dbapi.DataError):
    """A value or a statement does not fit into the protocol or into a field; nothing was sent."""

    sqlstate = "54000"


class UnencodableError(dbapi.DataError):
    """A text holds what the session's encoding has no bytes for; the message holds nothing of the text."""

    sqlstate = "22021"
    """What the server says of a text that it cannot take, as one with NUL."""

    def __init__(self, what: str, encoding: str) -> None:
        super().__init__(f"{what} has a character that {encoding} cannot hold, as half of a surrogate pair: refuse it")


BY_CLASS: Mapping[str, type[ServerError]] = MappingProxyType(
    {
        "08": ServerOperationalError,
        "0A": ServerNotSupportedError,
        "22": ServerDataError,
        "23": ServerIntegrityError,
        "25": ServerOperationalError,
        "28": ServerOperationalError,
        "3D": ServerOperationalError,
        "40": ServerOperationalError,
        "53": ServerOperationalError,
        "54": ServerOperationalError,
        "55": ServerOperationalError,
        "57": ServerOperationalError,
        "58": ServerOperationalError,
        "XX": ServerInternalError,
    }
)
"""From the first two characters of a SQLSTATE to DBAPI's class; what is not here is a ProgrammingError."""


def error_from(fields: Fields) -> ServerError:
    """Return the error for an ErrorResponse."""
    return BY_CLASS.get(fields.get("C", "")[:2], ServerProgrammingError)(fields)


def sqlstate_of(error: BaseException) -> str | None:
    """Return the SQLSTATE of a driver's error; None for any other."""
    sqlstate: str | None = getattr(error, "sqlstate", None) if isinstance(error, dbapi.Error) else None
    return sqlstate


def sqlstate_behind(error: BaseException) -> str | None:
    """Return the SQLSTATE of the driver's error that `error` is, or was raised from; None where there is none."""
    return sqlstate_of(error.__cause__ or error)


def is_broken(error: BaseException) -> bool:
    """Say whether the error means that the connection itself is gone."""
    return isinstance(error, DisconnectedError | ClosedError) or (isinstance(error, ServerError) and error.is_fatal)
