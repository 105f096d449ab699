"""Whom a connection talks to, as seen from this end and without asking: TLS, certificate, announced session.

For diagnosis; nothing in a handler's way needs it.
"""

import ssl
from dataclasses import dataclass

from sqlalchemy import Connection

from db.protocol.connection import Connection as DriverConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The other end."""

    place: str
    tls: str | None
    """The protocol's version; None in clear."""
    certificate_expires_at: float | None
    """In seconds since 1970."""
    announced_pid: int | None
    """What a CancelRequest would name. A pooler announces something of its own, and not the server's process."""


def peer_of(connection: Connection) -> Peer:
    """Return whom `connection` talks to."""
    session = connection.connection.dbapi_connection
    if not isinstance(session, DriverConnection):
        raise TypeError(f"{type(session).__name__} is not a connection of this package")
    sock, key = session.transport().socket, session._backend_key_data  # noqa: SLF001 - pg8000's name for it
    secure = sock if isinstance(sock, ssl.SSLSocket) else None
    return Peer(
        place=str(session._address),  # noqa: SLF001 - of this package
        tls=secure.version() if secure else None,
        certificate_expires_at=_expiry(secure) if secure else None,
        announced_pid=int.from_bytes(key[:4], "big") if key else None,
    )


def _expiry(secure: ssl.SSLSocket) -> float | None:
    certificate = secure.getpeercert() or {}
    expires = certificate.get("notAfter")
    return float(ssl.cert_time_to_seconds(expires)) if isinstance(expires, str) else None
