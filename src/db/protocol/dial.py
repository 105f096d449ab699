"""Opens a socket to a server: name, TCP and TLS within one deadline. Knows nothing of logins.

TLS: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL
"""

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from db.deadline import Deadline
from db.patience import timeout_s
from db.protocol import wire
from db.protocol.server_errors import DisconnectedError, TookTooLongError
from db.tcp import connected

ALPN = "postgresql"
"""What a server must say that it speaks where TLS begins at once: another one of that name is told nothing."""

SILENCE_S = 2.0
PROBES = 3
"""How many may go unanswered until the kernel takes the other machine for gone."""

HANDSHAKE_FAILURE = "ALERT_HANDSHAKE_FAILURE"
"""In OpenSSL's name for the alert of who takes nothing of what was offered: RFC 8446, section 6.2."""


class NothingInCommonError(DisconnectedError):
    """The server takes nothing of what TLS offered it; it has not proven who it is."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is and how to speak TLS with it."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    direct_tls: bool = False
    """Begin with TLS at once, as PostgreSQL 17 and later accept: one flight less."""
    silence_s: float = SILENCE_S
    """For how long the other machine may be silent; see `watch`."""
    any_curve: Callable[[], ssl.SSLContext | None] | None = field(default=None, repr=False, compare=False)
    """Returns what takes the place of `tls` for a server that takes no curve of it: as strict, a flight slower."""

    def with_any_curve(self) -> "Address":
        """Return the same place with every curve on offer."""
        return replace(self, tls=self.any_curve()) if self.any_curve else self

    def __str__(self) -> str:
        """Name the place."""
        return f"{self.host}:{self.port}"


def dial(address: Address, deadline: Deadline) -> socket.socket:
    """Return a connected socket, TLS included; raise DisconnectedError where that fails or takes too long.

    NothingInCommonError is the kind of it where another offer may help.
    """
    with _named(address):
        return _made_ready(connected(address.host, address.port, deadline), address, deadline)


def redial(peer: socket.socket, address: Address, deadline: Deadline) -> socket.socket:
    """Return another socket to the very server that `peer` is connected to, whatever its name means by now."""
    with _named(address):
        host, port = peer.getpeername()[:2]
        sock = socket.create_connection((host, port), timeout=timeout_s(deadline))
        return _made_ready(sock, address, deadline)


@contextmanager
def _named(address: Address) -> Iterator[None]:
    try:
        yield
    except TimeoutError as late:
        raise TookTooLongError(f"cannot connect to {address}: {late}") from late
    except OSError as error:
        kind = NothingInCommonError if _is_refusal(error) else DisconnectedError
        raise kind(f"cannot connect to {address}: {error}") from error


def _is_refusal(error: OSError) -> bool:
    return isinstance(error, ssl.SSLError) and HANDSHAKE_FAILURE in (error.reason or "")


@contextmanager
def _closed_on_error(sock: socket.socket) -> Iterator[None]:
    try:
        yield
    except BaseException:
        sock.close()
        raise


def watch(silence_s: float) -> dict[str, int]:
    """Return how the kernel notices, while a statement is waited for, that the other machine is gone.

    That is after twice `silence_s`, and four seconds at least: TCP counts in seconds. There is no TCP_USER_TIMEOUT: it
    would also end a connection whose server is alive and reads nothing for a while, as behind a lock in a large batch.
    """
    step_s = max(1, int(silence_s / 2))
    return {"TCP_KEEPIDLE": step_s, "TCP_KEEPINTVL": step_s, "TCP_KEEPCNT": PROBES}


def _configure(sock: socket.socket, silence_s: float) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in watch(silence_s).items():
        if option := getattr(socket, name, None):
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def _made_ready(sock: socket.socket, address: Address, deadline: Deadline) -> socket.socket:
    with _closed_on_error(sock):
        _configure(sock, address.silence_s)
        return _encrypted(sock, address, address.tls, deadline) if address.tls else sock


def _encrypted(sock: socket.socket, address: Address, context: ssl.SSLContext, deadline: Deadline) -> ssl.SSLSocket:
    if not address.direct_tls:
        sock.settimeout(timeout_s(deadline))
        sock.sendall(wire.SSL_REQUEST)
        # One byte and no more: what else came in clear must not be taken for the server's (CVE-2021-23222).
        if (answer := sock.recv(1)) != b"S":
            raise DisconnectedError(f"{address} does not speak TLS (it answered {answer!r})")
    return _handshaken(sock, address, context, deadline)


def _handshaken(sock: socket.socket, address: Address, context: ssl.SSLContext, deadline: Deadline) -> ssl.SSLSocket:
    encrypted = context.wrap_socket(sock, server_hostname=address.host, do_handshake_on_connect=False)
    with _closed_on_error(encrypted):
        encrypted.settimeout(timeout_s(deadline))
        encrypted.do_handshake()
        if address.direct_tls and encrypted.selected_alpn_protocol() != ALPN:
            raise DisconnectedError(f"{address} is trusted, and does not say that it is a PostgreSQL (ALPN)")
    return encrypted
