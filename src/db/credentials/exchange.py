"""One request over HTTP and its answer, over TLS that is verified, within one deadline. Knows nothing of secrets.

Imported where one is fetched, and not before: http.client costs a start that does not need it twenty modules.
"""

import io
import socket
import ssl
from collections.abc import Mapping
from functools import cache
from http.client import HTTP_PORT, HTTPS_PORT, HTTPConnection, HTTPException
from typing import Any

from db.deadline import Deadline
from db.environment.endpoint import Endpoint
from db.errors import DeadlineExceededError
from db.patience import timeout_s
from db.tcp import connected
from db.tls import strict_context

__all__ = ["HTTPException", "exchange"]

CONNECT_TIMEOUT_S = 1.0
"""For name and TCP: where nobody is, a second attempt is worth more than a longer wait."""
LIMIT_BYTES = 1024 * 1024
"""More than a secret can be: 64 KB of text, of which JSON may write each character as six."""


def exchange(
    endpoint: Endpoint, path: str, headers: Mapping[str, str], body: bytes | None, deadline: Deadline
) -> tuple[int, bytes]:
    """Send a POST, or where there is no body a GET; return status and content of the answer.

    All of it ends by `deadline`. Raises OSError, HTTPException and ValueError.
    """
    try:
        with _opened(endpoint, deadline) as sock:
            connection = HTTPConnection(endpoint.host, endpoint.port)
            connection.sock = _Bounded(sock, deadline)
            connection.request("GET" if body is None else "POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(LIMIT_BYTES)
    except DeadlineExceededError:
        raise TimeoutError from None


def _opened(endpoint: Endpoint, deadline: Deadline) -> socket.socket:
    port = endpoint.port or (HTTP_PORT if endpoint.is_plain else HTTPS_PORT)
    sock = connected(endpoint.host, port, deadline.within(CONNECT_TIMEOUT_S))
    try:
        sock.settimeout(timeout_s(deadline))  # TLS takes it for all of its handshake
        return sock if endpoint.is_plain else _verifying().wrap_socket(sock, server_hostname=endpoint.host)
    except BaseException:
        sock.close()
        raise


class _Bounded:
    """What http.client has for its socket: it may read and write until the deadline, in however many steps.

    Who opened the socket closes it.
    """

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock, self._deadline = sock, deadline

    def sendall(self, content: bytes) -> None:
        self._sock.settimeout(timeout_s(self._deadline))
        self._sock.sendall(content)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reading(self._sock, self._deadline))

    def close(self) -> None:
        return


class _Reading(io.RawIOBase):
    """What comes in on a socket until the deadline."""

    def __init__(self, sock: socket.socket, deadline: Deadline) -> None:
        self._sock, self._deadline = sock, deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - whatever a BufferedReader hands over
        self._sock.settimeout(timeout_s(self._deadline))
        received: int = self._sock.recv_into(buffer)
        return received


@cache
def _verifying() -> ssl.SSLContext:
    """Trust whom the system trusts, and verify the host's name."""
    context = strict_context()
    context.load_default_certs()
    return context
