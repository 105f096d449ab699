"""What the fault tests share: servers that may be broken, environments that are killed at the end."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from db import Database
from local.postgres import PostgresServer
from tests.conftest import STALL_S
from tests.faults.environment import Environment
from tests.faults.proxy import Proxy
from tests.faults.server import SMALL, run
from tests.rotation.conftest import application

__all__ = ["application"]
"""A fixture that is found here: a secret, and those who log in with it."""


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
            login = {"DATABASE_URL": postgres.url(), "DB_TLS": "insecure-local-only"}
            defaults = {**login, "DB_IDLE_IN_TRANSACTION_S": str(STALL_S)}
            return stack.enter_context(Environment({**defaults, **settings}))

        yield start


@pytest.fixture
def proxy(postgres: PostgresServer) -> Iterator[Proxy]:
    """A proxy in front of the shared server."""
    with Proxy(postgres.port) as proxy:
        yield proxy


@pytest.fixture
def silence_s() -> float:
    """After how long a half-open connection is noticed: more than a machine stalls; a test of it asks for less."""
    return 10.0


@pytest.fixture
def proxied(
    make_database: Callable[..., Database], postgres: PostgresServer, proxy: Proxy, pool_size: int, silence_s: float
) -> Database:
    """A Database behind the proxy, once with each kind of pool."""
    url = postgres.url(port=proxy.port)
    return make_database(url, pool_size=pool_size, silence_s=silence_s, application_name="proxied")


@pytest.fixture
def lost_commits(postgres: PostgresServer) -> None:
    """An empty table of that name on the shared server."""
    run(postgres, "drop table if exists lost_commits")
    run(postgres, "create table lost_commits (id serial primary key, n int)")


@pytest.fixture
def lost_in_work(postgres: PostgresServer) -> None:
    """An empty table of that name on the shared server."""
    run(postgres, "drop table if exists lost_in_work")
    run(postgres, "create table lost_in_work (n int not null, id serial primary key)")
