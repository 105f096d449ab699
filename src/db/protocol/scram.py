"""SCRAM-SHA-256 for a client, with the derived key kept: RFC 5802, RFC 7677, channel binding RFC 5929.

scramp does the same but derives the key at each login, keeps the password, and prepares some as no PostgreSQL does.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable

from db.protocol.channel_binding import certificate_hash
from db.protocol.server_errors import DisconnectedError

PLAIN = "SCRAM-SHA-256"
PLUS = "SCRAM-SHA-256-PLUS"
MIN_ITERATIONS, MAX_ITERATIONS = 4096, 10_000_000
"""RFC 7677's least, against a server that asks for a weak key; and a bound on the work that a server may ask for."""

DeriveKey = Callable[[bytes, bytes, int], bytes]
"""From prepared password, salt and iterations to the salted password."""


def derive_key(password: bytes, salt: bytes, iterations: int) -> bytes:
    """Return RFC 5802's SaltedPassword; a millisecond or two at 4096 iterations."""
    return hashlib.pbkdf2_hmac("sha256", password, salt, iterations)


class ScramClient:
    """One SCRAM exchange: three messages out, two in."""

    def __init__(self, password: str, certificate: bytes | None, derive: DeriveKey = derive_key) -> None:
        """Bind to the server's `certificate` (DER) where there is one."""
        self.mechanism = PLUS if certificate else PLAIN
        self._password = password
        self._derive = derive
        self._header = "p=tls-server-end-point,," if certificate else "n,,"
        self._certificate_hash = certificate_hash(certificate) if certificate else b""
        self._nonce = secrets.token_urlsafe(18)
        self._signature = b""
        self.is_unproven = False
        """Whether the server still owes the proof that it knows the password."""

    def unbound(self) -> "ScramClient":
        """Return a client for a server that does not offer channel binding; it tells the server that it would bind."""
        client = ScramClient(self._password, None, self._derive)
        client._header = "y,," if self._certificate_hash else "n,,"
        return client

    @property
    def _first_bare(self) -> str:
        return f"n=*,r={self._nonce}"  # PostgreSQL takes the user from the StartupMessage

    def first(self) -> str:
        """Return the client-first-message."""
        return self._header + self._first_bare

    def final(self, server_first: str) -> str:
        """Return the client-final-message that answers the server's first."""
        nonce, salt, iterations = self._challenge(server_first)
        without_proof = f"c={_b64(self._header.encode() + self._certificate_hash)},r={nonce}"
        signed = f"{self._first_bare},{server_first},{without_proof}".encode()
        salted = self._derive(_prepared(self._password), salt, iterations)
        client_key = _hmac(salted, b"Client Key")
        proof = _xor(client_key, _hmac(hashlib.sha256(client_key).digest(), signed))
        self._signature = _hmac(_hmac(salted, b"Server Key"), signed)
        self.is_unproven = True
        return f"{without_proof},p={_b64(proof)}"

    def _challenge(self, server_first: str) -> tuple[str, bytes, int]:
        fields = _fields(server_first)
        nonce, salt, iterations = fields.get("r", ""), fields.get("s", ""), fields.get("i", "")
        if not nonce.startswith(self._nonce) or len(nonce) == len(self._nonce):
            raise DisconnectedError("SCRAM: the server's nonce does not continue ours")
        if not (iterations.isascii() and iterations.isdigit() and MIN_ITERATIONS <= int(iterations) <= MAX_ITERATIONS):
            raise DisconnectedError(f"SCRAM: the server asks for {iterations[:12]!r} iterations")
        return nonce, base64.b64decode(salt), int(iterations)

    def verify(self, server_final: str) -> None:
        """Raise DisconnectedError unless the server has proven that it knows the password too."""
        proof = base64.b64decode(_fields(server_final).get("v", ""))
        if not self._signature or not hmac.compare_digest(proof, self._signature):
            raise DisconnectedError("SCRAM: the server did not prove that it knows the password")
        self.is_unproven = False


def verifier(password: str, salt: bytes, iterations: int = MIN_ITERATIONS) -> str:
    """Return what the server keeps instead of the password, and takes in its place in CREATE and ALTER ROLE.

    https://www.postgresql.org/docs/current/catalog-pg-authid.html
    """
    salted = derive_key(_prepared(password), salt, iterations)
    stored = hashlib.sha256(_hmac(salted, b"Client Key")).digest()
    return f"{PLAIN}${iterations}:{_b64(salt)}${_b64(stored)}:{_b64(_hmac(salted, b'Server Key'))}"


def _prepared(password: str) -> bytes:
    """Return the password in SASLprep's form; PostgreSQL takes ASCII for prepared, control characters included."""
    if not password.isascii():
        from db.protocol.saslprep import saslprep  # noqa: PLC0415 - few passwords need it

        password = saslprep(password)
    return password.encode()


def _fields(message: str) -> dict[str, str]:
    return {part[:1]: part[2:] for part in message.split(",")}


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
