"""pg8000's connection over our transport: its types, its handling of each message, and the reading of whole replies.

With db.protocol.cursor and db.protocol.readers the only file that uses more of pg8000 than its errors. Knows nothing of
transactions or deadlines.
"""

from collections import deque
from collections.abc import Sequence
from socket import socket
from struct import Struct
from typing import Any

from pg8000 import core
from pg8000.converters import PY_TYPES, make_params
from pg8000.dbapi import Connection as StockConnection

from db.protocol import wire
from db.protocol.login import error_fields
from db.protocol.readers import readers, row_reader
from db.protocol.riders import FAILED, IDLE
from db.protocol.server_errors import (
    ClosedError,
    DisconnectedError,
    InFailedTransactionError,
    NoStreamError,
    UnencodableError,
    error_from,
)
from db.protocol.transport import Transport

HANDLERS = {
    b"1": "PARSE_COMPLETE",
    b"2": "BIND_COMPLETE",
    b"3": "CLOSE_COMPLETE",
    b"A": "NOTIFICATION_RESPONSE",
    b"C": "COMMAND_COMPLETE",
    b"D": "DATA_ROW",
    b"E": "ERROR_RESPONSE",
    b"G": "COPY_IN_RESPONSE",
    b"H": "COPY_OUT_RESPONSE",
    b"I": "EMPTY_QUERY_RESPONSE",
    b"K": "BACKEND_KEY_DATA",
    b"N": "NOTICE_RESPONSE",
    b"S": "PARAMETER_STATUS",
    b"T": "ROW_DESCRIPTION",
    b"Z": "READY_FOR_QUERY",
    b"c": "COPY_DONE",
    b"d": "COPY_DATA",
    b"n": "NO_DATA",
    b"s": "PORTAL_SUSPENDED",
    b"t": "PARAMETER_DESCRIPTION",
}
"""pg8000's handler of each message."""

ROLLBACK = b"ROLLBACK"
ENDINGS = (b"COMMIT", ROLLBACK, b"PREPARE TRANSACTION")
"""How the tag of a command begins that ends a transaction, or goes back to a savepoint."""
COMMIT_REFUSED = "COMMIT of a failed transaction: the server rolled back"
READY, DATA_ROW = b"Z"[0], b"D"[0]
DONE_SILENTLY = frozenset(b"12n")
"""ParseComplete, BindComplete and NoData: nobody waits for them."""
ENDS_A_STATEMENT = frozenset(b"CI")
"""CommandComplete and EmptyQueryResponse."""
_process_id = Struct("!i").unpack_from


class Context(core.Context):
    """What became of one statement."""

    rolled_back = False
    """Whether a ROLLBACK was among what its text asked for."""


class Replies(StockConnection):
    """What comes back from the server, message by message and flight by flight."""

    def __init__(self, transport: Transport) -> None:
        """Set what pg8000's constructor sets, without its socket, its login and its copy of the password."""
        self._usock: socket | None = transport.socket
        self._sock: Transport | None = transport
        self._client_encoding = "utf8"
        self.notifications: deque[tuple[int, str, str]] = deque(maxlen=100)
        self.notices: deque[dict[bytes, bytes]] = deque(maxlen=100)
        self.parameter_statuses: dict[str, str] = {}
        self._xid = None
        self._statement_nums: set[bytes] = set()
        self._caches: dict[Any, Any] = {}
        self._backend_key_data: bytes | None = None
        self._transaction_status: bytes = IDLE
        self._owes_sync = False
        self.autocommit = False
        self.pg_types = readers()
        self.py_types = dict(PY_TYPES)
        self.message_types = {code: getattr(self, f"handle_{name}") for code, name in HANDLERS.items()}
        self._handlers = {code[0]: handle for code, handle in self.message_types.items()}

    def transport(self) -> Transport:
        """Return what the session talks through; raise ClosedError where it is closed."""
        if self._sock is None:
            raise ClosedError("connection is closed")
        return self._sock

    def as_text(self, values: Sequence[Any]) -> Sequence[str | None]:
        """Return Python's values as PostgreSQL's text, each by its type's writer."""
        texts: Sequence[str | None] = make_params(self.py_types, values)
        return texts

    def read_replies(self, contexts: Sequence[Context]) -> bool:
        """Give each context its replies, up to ReadyForQuery; say whether all of them were answered.

        A context's error, be it the server's or that of a value that cannot be read, is kept in it: the replies behind
        are read all the same, so that the next flight begins where this one ends.
        """
        transport, handlers = self.transport(), self._handlers
        rest = iter(contexts)
        context = next(rest)
        while True:
            code, body = transport.message(DONE_SILENTLY)
            try:
                if code == DATA_ROW:
                    self._read_rows(body, context)
                else:
                    handlers[code](body, context)
            except (DisconnectedError, NoStreamError):
                raise
            except Exception as error:  # noqa: BLE001 - kept, and raised when the flight has been read
                context.error = context.error or error
            if code in ENDS_A_STATEMENT:
                context = next(rest, context)
            elif code == READY:
                return context.error is None and next(rest, None) is None

    def _read_rows(self, body: bytes, context: Context) -> None:
        """Read a row, and all that have come behind it; those that nobody described, or that failed, are for nobody."""
        if context.columns is None or context.error is not None:
            return
        row_of, append = row_reader(context.input_funcs, self._client_encoding), context.rows.append
        append(row_of(body, 2))
        transport = self.transport()
        while (at := transport.next_is(DATA_ROW)) is not None:
            append(row_of(transport.unread, at))

    def handle_messages(self, context: Context) -> None:
        """Read one reply, as pg8000's own methods ask for; raise its error."""
        self.read_replies([context])
        if context.error is not None:
            raise context.error

    def handle_ERROR_RESPONSE(self, data: bytes, context: Context) -> None:  # noqa: N802 - pg8000's name
        """Keep the first error, as what follows from it says less; after a fatal one nothing more is waited for."""
        error = error_from(error_fields(data, self._client_encoding))
        context.error = context.error or error
        if error.is_fatal:
            raise DisconnectedError(str(error), error.fields)
        self._end_stream()

    def handle_COMMAND_COMPLETE(self, data: bytes, context: Context) -> None:  # noqa: N802 - pg8000's name
        """Add the row count; end a COPY's flight, which could not be ended before the server said what it wants."""
        if data.startswith(ENDINGS):
            self.hear_of_end(data, context)
        count = data[data.rfind(b" ") + 1 : -1]
        if count.isdigit():
            context.row_count = max(context.row_count, 0) + int(count)
        if context.stream is not None:
            self._end_stream()

    def hear_of_end(self, tag: bytes, context: Context) -> None:
        """Take note that a text has ended a transaction; a COMMIT that the server answers with ROLLBACK is an error."""
        if tag.startswith(ROLLBACK):
            context.rolled_back = True
            if self._transaction_status == FAILED and not _is_rollback(context.statement):
                context.error = context.error or InFailedTransactionError(COMMIT_REFUSED)

    def handle_EMPTY_QUERY_RESPONSE(self, _data: bytes, context: Context) -> None:  # noqa: N802 - pg8000's name
        """End a COPY's flight, also where nothing was asked for."""
        if context.stream is not None:
            self._end_stream()

    def handle_NOTIFICATION_RESPONSE(self, data: bytes, _context: Context) -> None:  # noqa: N802 - pg8000's name
        """Keep a NOTIFY in any encoding, where pg8000 takes ASCII only."""
        channel, payload, _ = data[4:].split(b"\x00")
        encoding = self._client_encoding
        self.notifications.append((_process_id(data)[0], channel.decode(encoding), payload.decode(encoding)))

    def handle_COPY_IN_RESPONSE(self, data: bytes, context: Context) -> None:  # noqa: N802 - pg8000's name
        """Send the stream; where it fails, tell the server to give up."""
        if context.stream is None:
            raise NoStreamError("COPY FROM STDIN without a stream: pass one, cursor.execute(..., stream=...)")
        self._owes_sync = False
        try:
            super().handle_COPY_IN_RESPONSE(data, context)
        except DisconnectedError:
            raise
        except Exception as error:  # noqa: BLE001 - the caller's own stream; kept, and raised when the reply is read
            holds_text = isinstance(error, UnicodeEncodeError)
            context.error = UnencodableError("the stream", self._client_encoding) if holds_text else error
            self.transport().write(wire.copy_fail(type(error).__name__) + wire.SYNC)
            self.transport().flush()

    def _send_message(self, code: bytes, data: bytes) -> None:
        """Write what pg8000's own methods send, a COPY's data among it; refuse what the server would not read."""
        self.transport().write(wire.message(code, data))

    def _end_stream(self) -> None:
        if self._owes_sync:
            self._owes_sync = False
            self.transport().write(wire.SYNC)
            self.transport().flush()


def _is_rollback(statement: str) -> bool:
    return statement.lstrip().upper().startswith("ROLLBACK")
