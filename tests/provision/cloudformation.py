"""CloudFormation's side of a custom resource: sends events, and waits for the answer at an address of its own."""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from local.cloudformation import event_of


@dataclass
class CloudFormation:
    """Listens where the answer is to be put, and refuses the first `refusals` attempts."""

    refusals: int = 0
    answers: list[dict[str, Any]] = field(default_factory=list)
    content_types: list[str | None] = field(default_factory=list)

    def __enter__(self) -> Self:
        waiting = self

        class Address(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(waiting.take(self.path, self.headers["Content-Type"], body))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Stay silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Address)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def take(self, path: str, content_type: str | None, body: bytes) -> int:
        if self.refusals:
            self.refusals -= 1
            return 503
        assert path == "/answer?signature=s"
        assert len(body) < 4096, "CloudFormation takes no more"
        self.content_types.append(content_type)
        self.answers.append(json.loads(body))
        return 200

    def event(self, request: str, properties: dict[str, Any], **changes: object) -> dict[str, Any]:
        """Return the event of `request`: Create, Update or Delete."""
        known = {} if request == "Create" else {"PhysicalResourceId": "Schema-6f1b7b00-0000-11f0-8000-0a1b2c3d4e5f"}
        url = f"http://127.0.0.1:{self._server.server_port}/answer?signature=s"
        return {**event_of(request, url, "Schema", properties), "RequestId": "request-1", **known, **changes}
