"""What the fault tests share: servers that may be broken, environments that are killed at the end."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from db import Database
from local.postgres import PostgresServer
from tests.faults.environment import Environment
from tests.faults.proxy import Proxy
from tests.faults.server import SMALL

NOTICED = pytest.StashKey[dict[int, list[tuple[float, float]]]]()
"""For each row of the table of faults: the seconds that noticing took, and the bound."""
TOLERANCE = 1.1
"""How much later than its bound a fault may be noticed; the summary reports each row's worst."""
BUSY_S = 0.5
"""What a busy machine may add: processes that are thawed or started wait for a core."""


@pytest.fixture(scope="module")
def _fault_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    directory: Path = tmp_path_factory.mktemp("broken") / "data"
    with PostgresServer(directory, secrets.token_urlsafe(), settings=SMALL) as server:
        yield server


@pytest.fixture
def fault_server(_fault_server: PostgresServer) -> PostgresServer:
    """A small server of the module's own, running and healthy at the test's start."""
    _fault_server.wait_until_ready()
    return _fault_server


@pytest.fixture
def start_environment(postgres: PostgresServer) -> Iterator[Callable[..., Environment]]:
    """Start environments, on the shared server unless told otherwise; all are killed at the end."""
    with ExitStack() as stack:

        def start(**settings: str) -> Environment:
            defaults = {"DATABASE_URL": postgres.url(), "DB_TLS": "insecure-local-only"}
            return stack.enter_context(Environment({**defaults, **settings}))

        yield start


def pytest_configure(config: pytest.Config) -> None:
    config.stash[NOTICED] = {}


@pytest.fixture
def noticed(request: pytest.FixtureRequest) -> Callable[[int, float, float], None]:
    """Report that the fault of `row` was noticed after `took_s` seconds, where `bound_s` are allowed."""

    def note(row: int, took_s: float, bound_s: float) -> None:
        request.config.stash[NOTICED].setdefault(row, []).append((took_s, bound_s))
        assert took_s <= bound_s * TOLERANCE + BUSY_S, f"row {row}: noticed after {took_s:.3f} s, bound {bound_s} s"

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say for each row how late its fault was noticed at worst."""
    if found := config.stash[NOTICED]:
        terminalreporter.section("worst time to notice a fault, as a share of its bound")
    for row, times in sorted(found.items()):
        took_s, bound_s = max(times, key=lambda time: time[0] / time[1])
        terminalreporter.line(f"row {row:2}: {took_s / bound_s:5.2f}  ({took_s:.3f} s of {bound_s:g} s)")


@pytest.fixture
def proxy(postgres: PostgresServer) -> Iterator[Proxy]:
    """A proxy in front of the shared server."""
    with Proxy(postgres.port) as proxy:
        yield proxy


@pytest.fixture
def proxied(make_database: Callable[..., Database], postgres: PostgresServer, proxy: Proxy, pool_size: int) -> Database:
    """A Database behind the proxy, once with each kind of pool; a half-open connection is noticed after 1 s."""
    url = postgres.url().replace(f":{postgres.port}/", f":{proxy.port}/")
    return make_database(url, pool_size=pool_size, silence_s=1.0, application_name="proxied")
