"""The end of an environment under AWS's own emulator and runtime client."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local.environment import ExecutionEnvironment
from local.function import LambdaFunction
from local.postgres import PostgresServer
from tests.faults.proxy import Proxy

SRC = Path(__file__).parents[2] / "src"
FUNCTIONS = Path(__file__).parent / "functions"
TERMINATE = b"X\x00\x00\x00\x04"
KILLED_AFTER_S = 3.0
"""Ten times the seconds from SIGTERM to SIGKILL that Lambda gives, as the function has ten times its own."""


@pytest.fixture
def make_ending(
    make_function: Callable[..., LambdaFunction], postgres: PostgresServer
) -> Callable[..., LambdaFunction]:
    """Make the function that keeps a connection; it may be to a proxy's port."""

    def make(port: int, **variables: str) -> LambdaFunction:
        server = f"postgresql://postgres:{postgres.password}@127.0.0.1:{port}/postgres"
        login = {"DATABASE_URL": server, "DB_TLS": "insecure-local-only"}
        own = {**login, "PYTHONPATH": f"{FUNCTIONS}:{SRC}", **variables}
        return make_function(name="ending", handler="ending.handler", timeout_s=20, variables=own)

    return make


def left_behind(environment: ExecutionEnvironment) -> list[dict[str, Any]]:
    """Return the metrics that were written for what no invocation had written."""
    return [json.loads(line) for line in environment.new_lines() if '"LeftBehind":' in line]


@pytest.mark.parametrize("polls_in", ["main thread", "thread"])
def test_the_server_is_told_goodbye_when_an_environment_ends(
    make_ending: Callable[..., LambdaFunction],
    postgres: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
    polls_in: str,
) -> None:
    """Row 17: SIGTERM arrives however the runtime client waits; Terminate is sent, what is to be flushed is flushed."""
    monkeypatch.setattr("local.environment.SHUTDOWN_S", 60)
    client = {"AWS_EXECUTION_ENV": "AWS_Lambda_python3.13"} if polls_in == "thread" else {}
    with Proxy(postgres.port) as proxy:
        function = make_ending(proxy.port, **client)
        assert function.invoke({}).failure is None
        (environment,) = function.idle
        before = proxy.traffic()
        began = time.monotonic()
        environment.stop()
        assert time.monotonic() - began < KILLED_AFTER_S
        while proxy.live() and time.monotonic() < began + 5:
            time.sleep(0.01)
        assert (proxy.traffic() - before).to_server == len(TERMINATE)
        (written,) = left_behind(environment)
        assert written["LeftBehind"] == [1]
        assert written["function_name"] == "ending"


def test_without_the_extension_the_end_comes_without_a_word(
    make_ending: Callable[..., LambdaFunction], postgres: PostgresServer
) -> None:
    """Off by setting: nothing is registered, and Lambda's kill ends the environment as ever."""
    with Proxy(postgres.port) as proxy:
        function = make_ending(proxy.port, DB_GRACEFUL_SHUTDOWN="false")
        assert function.invoke({}).failure is None
        (environment,) = function.idle
        before = proxy.traffic()
        environment.stop()
        assert (proxy.traffic() - before).to_server == 0
        assert left_behind(environment) == []
