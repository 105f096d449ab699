"""The README's calls, sent to what `make run` serves after the samples."""

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from local.postgres import free_port
from tests.e2e.command import Running

README = (Path(__file__).parents[2] / "README.md").read_text()
CALL = re.compile(r"^\$ (curl .*)\n((?:(?!\$ |```).*\n)*)", re.MULTILINE)
CHANGING = re.compile(r'("(?:created_at|updated_at|request_id|answered_ms)": ?)(?:"[^"]*"|[0-9.]+)')
"""What is another time, id or duration with each run."""


@dataclass
class Call:
    """A line of curl."""

    url: str = ""
    method: str = ""
    body: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, line: str) -> "Call":
        """Read the options that the README uses."""
        call, words = cls(), iter(shlex.split(line)[1:])
        for word in words:
            match word:
                case "-i":
                    pass
                case "-X":
                    call.method = next(words)
                case "-d":
                    call.body = next(words)
                case "-H":
                    name, _, value = next(words).partition(": ")
                    call.headers[name] = value
                case _:
                    call.url = f"http://{word}"
        call.method = call.method or ("POST" if call.body else "GET")
        return call

    def send(self, port: int) -> tuple[list[str], str]:
        """Return the lines of the answer's head, and its body."""
        parts = urlsplit(self.url)
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request(self.method, f"{parts.path}?{parts.query}".rstrip("?"), self.body, self.headers)
        response = connection.getresponse()
        head = [f"HTTP/1.1 {response.status} {response.reason}", *(f"{n}: {v}" for n, v in response.getheaders())]
        body = response.read().decode()
        connection.close()
        return head, body


def told() -> Iterator[tuple[str, list[str], str]]:
    """Yield each call, the lines of the answer's head where it is shown, and the body."""
    for line, answer in CALL.findall(README):
        if "127.0.0.1:3000" in line:
            head, _, body = answer.strip().rpartition("\n\n")
            yield line, head.splitlines(), body


def masked(body: str) -> str:
    return CHANGING.sub(r"\1…", body)


def test_the_readmes_calls_are_answered_as_it_says(run: Callable[..., Running]) -> None:
    """Whoever types them after `make run` sees the same, but for times and ids."""
    port = free_port()
    running = run("--port", str(port))
    running.wait_until_it_says("Ctrl-C ends everything")
    calls = list(told())
    assert len(calls) == 4
    for line, head, body in calls:
        answered_head, answered = Call.of(line).send(port)
        assert set(head) <= set(answered_head), line
        assert masked(body) == masked(answered), line
