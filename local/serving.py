"""A WSGI application on 127.0.0.1, served from a thread, each request in one of its own."""

import socket
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Self

from werkzeug.serving import WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

LOOPBACK = "127.0.0.1"


class PortTakenError(RuntimeError):
    """The port cannot be listened on."""


class _RequestHandler(WSGIRequestHandler):
    """Logs nothing: an application that has something to say says it itself."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - werkzeug's name
        """Forget the line."""


class Server:
    """Listens from the start; serves between `with` and its end."""

    def __init__(self, application: "WSGIApplication", port: int = 0) -> None:
        """Listen on `port`, or on a free one; raise PortTakenError where that cannot be."""
        require_free(port)
        self._server = make_server(LOOPBACK, port, application, threaded=True, request_handler=_RequestHandler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def port(self) -> int:
        """Which port it listens on."""
        return self._server.server_port

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://{LOOPBACK}:{self.port}"

    def __enter__(self) -> Self:
        """Serve."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop serving; requests that are being served are not waited for."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def require_free(port: int) -> None:
    """Raise PortTakenError where `port` cannot be listened on; 0 is any."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except OSError as error:
            raise PortTakenError(
                f"port {port} on {LOOPBACK} cannot be had ({error.strerror}): stop what uses it, or set PORT to another"
            ) from error
