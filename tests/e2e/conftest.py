"""The local stack as the tests use it."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from local.environment import Configuration
from local.function import LambdaFunction
from local.gateway import Gateway
from local.guardian import Guardian
from local.serving import Server
from local.stack import Stack, running, with_variables
from local.template import Route
from tests.e2e.command import Running

FUNCTIONS = Path(__file__).parent / "functions"


@pytest.fixture(scope="session")
def guardian() -> Iterator[Guardian]:
    with Guardian() as started:
        yield started


@pytest.fixture
def make_function(tmp_path: Path, guardian: Guardian) -> Iterator[Callable[..., LambdaFunction]]:
    """Build functions out of tests/e2e/functions; their environments end with the test."""
    with ExitStack() as stack:

        def make(**changes: Any) -> LambdaFunction:  # noqa: ANN401 - the test names the fields
            configuration = Configuration(
                **{"name": "tiny", "handler": "tiny.handler", "code": FUNCTIONS, "timeout_s": 60, **changes}
            )
            return stack.enter_context(LambdaFunction(configuration, tmp_path, guardian))

        yield make


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Everything that `make run` starts, on a free port; shared, so a test that breaks it starts its own."""
    with running() as started:
        yield started


@pytest.fixture(scope="session")
def own_records(
    stack: Stack, guardian: Guardian, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., LambdaFunction]]:
    """Make records functions with environments of their own, and with other variables: `own_records(DB_HOST=...)`."""
    with ExitStack() as functions:

        def make(**variables: str) -> LambdaFunction:
            configuration = with_variables(stack.function_of("records").configuration, variables)
            function = LambdaFunction(configuration, tmp_path_factory.mktemp("logs"), guardian)
            return functions.enter_context(function)

        yield make


@dataclass(frozen=True, slots=True)
class Reply:
    """What a client has got."""

    status: int
    headers: Message
    body: Any


class Client:
    """Speaks to a gateway over one connection."""

    def __init__(self, url: str) -> None:
        self._connection = HTTPConnection(urlsplit(url).netloc, timeout=60)

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:  # noqa: ANN401 - JSON
        content = body if body is None or isinstance(body, bytes) else json.dumps(body)
        given = {
            "content-type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        self._connection.request(method, path, content, given)
        response = self._connection.getresponse()
        text = response.read().decode()
        is_json = "json" in response.headers.get("Content-Type", "")
        return Reply(response.status, response.headers, json.loads(text) if text and is_json else text)

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def connect() -> Iterator[Callable[[str], Client]]:
    """Make clients that are closed with the test."""
    with ExitStack() as clients:
        yield lambda url: clients.enter_context(closing(Client(url)))


@pytest.fixture
def serve() -> Iterator[Callable[[LambdaFunction, Sequence[Route]], str]]:
    """Put a function behind a gateway of its own; returns where that is."""
    with ExitStack() as servers:

        def start(function: LambdaFunction, routes: Sequence[Route]) -> str:
            gateway = servers.enter_context(closing(Gateway(routes, {route.function: function for route in routes})))
            return servers.enter_context(Server(gateway)).url

        yield start


@pytest.fixture
def call(stack: Stack, connect: Callable[[str], Client]) -> Client:
    """A client of the shared stack."""
    return connect(stack.url)


@pytest.fixture
def stack_port(stack: Stack) -> int:
    """A port that is taken."""
    return int(stack.url.rpartition(":")[2])


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []
    folder = tmp_path / "t"
    folder.mkdir()

    def start(*arguments: str, **options: Any) -> Running:  # noqa: ANN401 - variables, and a command before
        started.append(Running(folder, *arguments, **options))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.communicate()
