"""A port of its own on 127.0.0.1, whose clients are handed over one by one. Knows nothing of what they want."""

import contextlib
import socket
import threading
from collections.abc import Callable

LOOPBACK = "127.0.0.1"


class Listener:
    """Listens from the beginning, accepts from `start` to `close`."""

    def __init__(self, name: str, serve: Callable[[socket.socket], None]) -> None:
        """Listen; `serve` is called with each client in the accepting thread, which bears `name`."""
        self._serve = serve
        self._socket = socket.create_server((LOOPBACK, 0), backlog=1024)
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True, name=name)

    def start(self) -> None:
        """Begin to accept."""
        self._thread.start()

    def close(self) -> None:
        """Refuse new clients, from now on and for good; closing twice is no error."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            self._serve(client)
