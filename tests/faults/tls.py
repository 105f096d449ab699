"""TLS in front of a PostgreSQL that has none: answers the SSLRequest, decrypts, and carries on in clear.

https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL
"""

import contextlib
import select
import socket
import ssl
import threading
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import trustme

from tests.faults.listener import LOOPBACK, Listener

SSL_REQUEST = bytes.fromhex("0000000804d2162f")
CHUNK = 65536


class Authority:
    """A certificate authority of the test's own, in `directory`."""

    def __init__(self, directory: Path) -> None:
        self._authority = trustme.CA()
        self.file = directory / "authority.pem"
        """What a client trusts."""
        self._authority.cert_pem.write_to_path(str(self.file))
        self._directory = directory

    def certificate(self, *names: str, ends: datetime | None = None) -> Path:
        """Return a PEM file with the private key and the certificate of a server that answers to `names`."""
        issued = self._authority.issue_cert(*names, not_after=ends)
        file = self._directory / f"{names[0]}.pem"
        file.touch(mode=0o600)
        issued.private_key_and_cert_chain_pem.write_to_path(str(file))
        return file


class TlsFront:
    """Listens on a port of its own; each connection that asks for TLS gets it, and goes on to `upstream_port`."""

    def __init__(self, upstream_port: int, certificate: Path) -> None:
        self.upstream_port = upstream_port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._context.num_tickets = 0  # behind the handshake they would be a reply that nobody waits for
        self._listener = Listener("tls-front", self._serve)
        self.port = self._listener.port

    def __enter__(self) -> Self:
        """Begin to accept."""
        self._listener.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Refuse new connections; those that are there end with their clients."""
        self._listener.close()

    def _serve(self, client: socket.socket) -> None:
        threading.Thread(target=self._carry, args=(client,), daemon=True, name="tls-link").start()

    def _carry(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client, self._handshake(client) as secure, self._upstream() as server:
            while _exchange(secure, server):
                pass

    def _upstream(self) -> socket.socket:
        server = socket.create_connection((LOOPBACK, self.upstream_port))
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return server

    def _handshake(self, client: socket.socket) -> ssl.SSLSocket:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if client.recv(len(SSL_REQUEST), socket.MSG_WAITALL) != SSL_REQUEST:
            raise ConnectionAbortedError("the client did not ask for TLS")
        client.sendall(b"S")
        return self._context.wrap_socket(client, server_side=True)


def _exchange(secure: ssl.SSLSocket, server: socket.socket) -> bool:
    """Carry what is there in one direction; say whether both ends go on."""
    if not secure.pending():
        ready, _, _ = select.select([secure, server], [], [])
        if secure not in ready:
            return _carry_over(server, secure)
    return _carry_over(secure, server)


def _carry_over(source: socket.socket, sink: socket.socket) -> bool:
    chunk = source.recv(CHUNK)
    sink.sendall(chunk)
    return bool(chunk)
