"""Logs in: the StartupMessage and the server's questions, in as few flights as the server allows.

The SCRAM exchange is begun in the StartupMessage's own flight; a server that wants something else is remembered and
asked the ordinary way, in a connection of its own. SCRAM's last message may go out with the first statement's flight.
Knows nothing of statements.
https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP
"""

import hashlib
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from struct import Struct

from pg8000.dbapi import InterfaceError

from db.protocol import scram, wire
from db.protocol.server_errors import DisconnectedError, Fields, TookTooLongError, error_from
from db.protocol.transport import Transport

OK, CLEARTEXT, MD5, SASL, SASL_CONTINUE, SASL_FINAL = 0, 3, 5, 10, 11, 12
_kind = Struct("!i").unpack_from

AUTHENTICATION, ERROR, READY, PARAMETER_STATUS = b"R"[0], b"E"[0], b"Z"[0], b"S"[0]

MOST_KEYS = 8
"""Versions of a secret, on a few servers; a pooler may have another salt at each login."""

Message = tuple[int, bytes]
Learn = Callable[[Sequence[Message]], None]
"""Told what the server said when it had let us in."""


@dataclass(slots=True)
class DerivedKeys:
    """SCRAM keys that were derived in this process, so that a reconnect need not do it again."""

    _keys: dict[bytes, bytes] = field(default_factory=dict, repr=False)

    def derive(self, password: bytes, salt: bytes, iterations: int) -> bytes:
        """Return the key, derived once as long as password, salt and iterations are among the last few."""
        name = hashlib.sha256(b"%d:%b:%b" % (iterations, salt, password)).digest()
        if (key := self._keys.get(name)) is None:
            key = scram.derive_key(password, salt, iterations)
            self._keys = dict([*list(self._keys.items())[1 - MOST_KEYS :], (name, key)])
        return key

    def forget(self) -> None:
        """Drop every key: before a snapshot is taken, which others may read."""
        self._keys = {}


class RefusedEarlyError(Exception):
    """The server did not take SCRAM's first message in the StartupMessage's flight; nothing else is known yet."""


class HungUpEarlyError(RefusedEarlyError):
    """It closed the connection without a word, as one that goes down just then does, too."""


class Login:
    """One login on one transport."""

    def __init__(self, transport: Transport, user: str, password: str, keys: DerivedKeys, learn: Learn) -> None:
        self._transport = transport
        self._user = user
        self._password = password
        self._scram = scram.ScramClient(password, certificate(transport), keys.derive)
        self._learn = learn
        self._early = False
        self._asked = False
        self._is_proven = False

    def begin(self, parameters: Mapping[str, str], *, early: bool) -> None:
        """Write the StartupMessage, and SCRAM's first message with it where `early`."""
        self._early = early
        self._transport.write(wire.startup(parameters))
        if early:
            self._write_first()

    def prove(self) -> None:
        """Answer SCRAM's question; that goes out with whatever is sent next, and `finish` reads what becomes of it."""
        while not self._is_proven:
            code, body = self._next()
            if code == AUTHENTICATION:
                self._answer(_kind(body)[0], body[4:])

    def finish(self) -> list[Message]:
        """Answer the server's questions; return what it said after it let us in, ReadyForQuery last."""
        said: list[Message] = []
        while not (said and said[-1][0] == READY):
            code, body = self._next()
            if code == AUTHENTICATION:
                self._answer(_kind(body)[0], body[4:])
            else:
                said.append((code, body))
        self._learn(said)
        return said

    def _next(self) -> Message:
        self._transport.flush()
        try:
            code, body = self._transport.message()
        except TookTooLongError:
            raise
        except DisconnectedError as error:
            if self._early and not self._asked:
                raise HungUpEarlyError from error
            raise
        if code == ERROR:
            raise self._refusal(error_fields(body))
        return code, body

    def _refusal(self, fields: Fields) -> Exception:
        """08P01 to an early message means that nobody asked for it, or that its mechanism is not known.

        To one that was asked for it is what PgBouncer calls a wrong password (28P01).
        """
        if self._early and fields.get("C") in {"08P01", "0A000"}:
            return RefusedEarlyError()
        if self._asked and fields.get("C") == "08P01":
            return error_from({**fields, "C": "28P01"})
        return error_from(fields)

    def _answer(self, kind: int, body: bytes) -> None:
        if self._early and not self._asked and kind != SASL:
            raise RefusedEarlyError
        self._asked = True
        if kind == SASL:
            self._choose(body[:-2].split(b"\x00"))
        elif kind == SASL_CONTINUE:
            self._write(self._scram.final(body.decode()).encode())
            self._is_proven = True
        elif kind == SASL_FINAL:
            self._scram.verify(body.decode())
        elif kind in {CLEARTEXT, MD5}:
            self._write(self._secret(kind, body) + b"\x00")
        elif kind != OK:
            raise InterfaceError(f"the server asks for authentication method {kind}, which is not supported")
        elif self._scram.is_unproven:
            raise DisconnectedError("SCRAM: the server let us in without proving that it knows the password")

    def _choose(self, offered: list[bytes]) -> None:
        """Begin SCRAM with what is offered; where it was begun early, see that the guess was right."""
        if self._scram.mechanism.encode() not in offered:
            if self._early:
                raise RefusedEarlyError
            self._scram = self._scram.unbound()
        if not self._early:
            self._write_first()

    def _write_first(self) -> None:
        first = self._scram.first().encode()
        size = len(first).to_bytes(4, "big")
        self._write(self._scram.mechanism.encode() + b"\x00" + size + first)

    def _write(self, body: bytes) -> None:
        self._transport.write(wire.message(b"p", body))

    def _secret(self, kind: int, salt: bytes) -> bytes:
        password = self._password.encode()
        if kind == CLEARTEXT:
            return password
        inner = hashlib.md5(password + self._user.encode(), usedforsecurity=False).hexdigest()
        return b"md5" + hashlib.md5(inner.encode() + salt, usedforsecurity=False).hexdigest().encode()


def certificate(transport: Transport) -> bytes | None:
    """Return the server's certificate in DER; None in clear."""
    sock = transport.socket
    return sock.getpeercert(binary_form=True) if isinstance(sock, ssl.SSLSocket) else None


def error_fields(body: bytes, encoding: str = "utf8") -> Fields:
    """Read an ErrorResponse."""
    return {part[:1].decode("ascii"): part[1:].decode(encoding, errors="replace") for part in body.split(b"\0") if part}
