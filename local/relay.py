"""Lets `sam local`'s containers in: what comes to a port of Docker's bridge goes to the same port of 127.0.0.1.

Docker Desktop does that by itself; Docker's engine on Linux does not. Knows nothing of what it carries.
"""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

from local.serving import LOOPBACK, PortTakenError

CHUNK = 65536


class Relay:
    """Listens on `address`, never a public one, and connects each client with this machine's own `port`."""

    def __init__(self, address: str, port: int) -> None:
        """Listen; raise PortTakenError where that cannot be."""
        self._port = port
        try:
            self._listener = socket.create_server((address, port))
        except OSError as error:
            raise PortTakenError(f"port {port} on {address} cannot be had ({error.strerror})") from error

    def __enter__(self) -> Self:
        """Begin to accept."""
        threading.Thread(target=self._accept, daemon=True, name=f"relay-{self._port}").start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Accept no more; what is connected ends with its two ends."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        """Carry both ways until both ends have said all."""
        with client, contextlib.suppress(OSError), socket.create_connection((LOOPBACK, self._port)) as server:
            answers = threading.Thread(target=_carry, args=(server, client), daemon=True)
            answers.start()
            _carry(client, server)
            answers.join()


def _carry(source: socket.socket, sink: socket.socket) -> None:
    """Copy until the source has said all, then say so to the sink."""
    with contextlib.suppress(OSError):
        while data := source.recv(CHUNK):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
