"""Messages to the server, as bytes, and nothing that sends them.

Formats: https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from db.protocol.server_errors import TooLargeError, UnencodableError

PROTOCOL_3_0 = 196608
SSL_REQUEST = struct.pack("!ii", 8, 80877103)
CANCEL_REQUEST_CODE = 80877102

MAX_MESSAGE_BYTES = 2**30 - 2
"""The longest message that PostgreSQL reads, its length's own four bytes included; at a longer one it hangs up.

PQ_LARGE_MESSAGE_LIMIT in https://github.com/postgres/postgres/blob/master/src/include/libpq/libpq.h
"""

MAX_VALUES = 65535
"""The most that Bind can count."""

_length = struct.Struct("!i").pack
_count = struct.Struct("!H").pack
_oid = struct.Struct("!I").pack

NULL_VALUE = _length(-1)
SYNC = b"S\x00\x00\x00\x04"
TERMINATE = b"X\x00\x00\x00\x04"
FLUSH = b"H\x00\x00\x00\x04"
DESCRIBE_PORTAL = b"D\x00\x00\x00\x06P\x00"
EXECUTE = b"E\x00\x00\x00\x09\x00\x00\x00\x00\x00"


def message(code: bytes, body: bytes) -> bytes:
    """Frame `body` as the message `code`; raise TooLargeError where the server would not read it."""
    _require_room(len(body))
    return code + _length(len(body) + 4) + body


def _require_room(body_bytes: int) -> None:
    if body_bytes + 4 > MAX_MESSAGE_BYTES:
        raise TooLargeError(f"a statement, and all its values, may have {MAX_MESSAGE_BYTES} bytes: here are more")


def text(value: str, encoding: str) -> bytes:
    """Return a statement as the protocol's string; refuse what would end it early, or has no bytes."""
    try:
        encoded = value.encode(encoding)
    except UnicodeEncodeError:
        encoded = None  # nothing is raised in here: that error would be its context, and show the text
    if encoded is None:
        raise UnencodableError("a statement", encoding)
    if b"\x00" in encoded:
        raise TooLargeError("a statement must not contain NUL")
    return encoded + b"\x00"


def startup(parameters: Mapping[str, str]) -> bytes:
    """Return the StartupMessage, protocol 3.0."""
    pairs = b"".join(f"{name}\0{value}\0".encode() for name, value in parameters.items())
    body = _length(PROTOCOL_3_0) + pairs + b"\x00"
    return _length(len(body) + 4) + body


def cancel_request(key: bytes) -> bytes:
    """Return the CancelRequest for a BackendKeyData body."""
    return _length(8 + len(key)) + _length(CANCEL_REQUEST_CODE) + key


def query(statement: str, encoding: str = "utf8") -> bytes:
    """Return a simple Query, which may hold several statements."""
    return message(b"Q", text(statement, encoding))


def parse(statement: str, oids: Sequence[int] = (), encoding: str = "utf8") -> bytes:
    """Return the Parse of the unnamed statement; type -1 is pg8000's 'unspecified'."""
    types = b"".join(_oid(max(oid, 0)) for oid in oids)
    return message(b"P", b"\x00" + text(statement, encoding) + _count(len(oids)) + types)


def bind(values: Sequence[str | None], encoding: str = "utf8") -> bytes:
    """Return the Bind of text values to the unnamed portal; all results come as text."""
    if len(values) > MAX_VALUES:
        raise TooLargeError(f"a statement may have {MAX_VALUES} values, this one has {len(values)}")
    try:
        body = b"\x00\x00\x00\x00" + _count(len(values)) + b"".join(_fields(values, encoding)) + b"\x00\x00"
        return message(b"B", body)
    except UnicodeEncodeError:
        pass  # left behind before anything is raised: as a context it would show the value
    raise UnencodableError("a value", encoding)


def _fields(values: Iterable[str | None], encoding: str) -> Iterable[bytes]:
    """Yield the values, and stop before memory is filled with more of them than fit."""
    size = 0
    for value in values:
        if value is None:
            yield NULL_VALUE
            continue
        encoded = value.encode(encoding)
        _require_room(size := size + len(encoded))
        yield _length(len(encoded))
        yield encoded


BIND_NOTHING = bind(())


@lru_cache(maxsize=256)
def command(statement: str) -> bytes:
    """Return Parse, Bind and Execute of a command without values, whose result nobody wants."""
    return parse(statement) + BIND_NOTHING + EXECUTE


def copy_fail(reason: str) -> bytes:
    """Return the CopyFail that makes the server give up a COPY FROM."""
    return message(b"f", reason.encode() + b"\x00")
