"""What every test may ask for: a real PostgreSQL and a Database on it."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from db import Database, DatabaseSettings, Tls
from local.postgres import PostgresServer

pytest_plugins = ["tests.canary"]


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server for the whole run; a test that stops or fills one starts its own."""
    directory: Path = tmp_path_factory.mktemp("postgres") / "data"
    with PostgresServer(directory, secrets.token_urlsafe()) as server:
        yield server


@pytest.fixture(params=[0, 1], ids=["NullPool", "QueuePool(1)"])
def pool_size(request: pytest.FixtureRequest) -> int:
    """Both kinds of pool."""
    size: int = request.param
    return size


@pytest.fixture
def make_database() -> Iterator[Callable[..., Database]]:
    """Build databases that are closed, and proven to be given back, at the end of the test."""
    made: list[Database] = []

    def make(url: str, **settings: Any) -> Database:  # noqa: ANN401 - the test names the fields
        options = {"url": url, "tls": Tls.INSECURE_LOCAL_ONLY, **settings}
        made.append(Database(DatabaseSettings(**options)))
        return made[-1]

    yield make
    for database in made:
        assert database.pool_state().borrowed == 0, "a connection was not given back"
        database.close()


@pytest.fixture
def database(make_database: Callable[..., Database], postgres: PostgresServer, pool_size: int) -> Database:
    """A Database on the shared server, once with each kind of pool."""
    return make_database(postgres.url(), pool_size=pool_size)
