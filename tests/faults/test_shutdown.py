"""Row 17: the end of an environment, as Lambda announces it."""

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import pytest

from local.postgres import PostgresServer
from local.serving import Server
from tests.faults.environment import Environment
from tests.faults.proxy import Proxy
from tests.faults.server import wait_until
from tests.noticing import Noticed

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

TERMINATE = b"X\x00\x00\x00\x04"
KILLED_AFTER_S = 3.0
"""Ten times the seconds from SIGTERM to SIGKILL that Lambda gives, as the environment has ten times its own."""


@pytest.fixture
def extensions_api() -> Iterator[str]:
    """Where extensions register; the event that one of them waits for never comes."""
    over = Event()

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ["PATH_INFO"].endswith("/event/next"):
            over.wait()
        start_response("200 OK", [("Lambda-Extension-Identifier", "one"), ("Content-Length", "2")])
        return [b"{}"]

    with Server(answer) as server:
        yield server.url.removeprefix("http://")
        over.set()


def test_the_end_of_an_environment_is_a_goodbye_in_time(
    start_environment: Callable[..., Environment],
    postgres: PostgresServer,
    proxy: Proxy,
    extensions_api: str,
    tmp_path: Path,
    noticed: Noticed,
) -> None:
    """Row 17: at SIGTERM Terminate is sent, the socket is closed and what is kept is flushed before Lambda kills."""
    url = postgres.url(port=proxy.port)
    environment = start_environment(DATABASE_URL=url, AWS_LAMBDA_RUNTIME_API=extensions_api)
    flushed = tmp_path / "flushed"
    environment.invoke("await_the_end", flushed=str(flushed))
    environment.invoke("backend")
    before, began = proxy.traffic(), time.monotonic()
    environment.shut_down()
    assert environment.wait() == 0
    noticed(17, time.monotonic() - began, KILLED_AFTER_S)
    assert flushed.exists()
    wait_until(lambda: not proxy.live())
    assert (proxy.traffic() - before).to_server == len(TERMINATE)


def test_a_goodbye_that_hangs_does_not_hold_up_the_end(
    start_environment: Callable[..., Environment], extensions_api: str, noticed: Noticed
) -> None:
    """Row 17: whatever is flushed too slowly is left."""
    environment = start_environment(AWS_LAMBDA_RUNTIME_API=extensions_api)
    environment.invoke("await_the_end", flushed="/dev/null", flush_s=10)
    environment.invoke("backend")
    began = time.monotonic()
    environment.shut_down()
    assert environment.wait() == 0
    noticed(17, time.monotonic() - began, KILLED_AFTER_S)
