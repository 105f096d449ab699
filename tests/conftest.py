"""What every test may ask for: a real PostgreSQL and a Database on it."""

import os
import secrets
from collections.abc import Callable, Generator, Iterator
from copy import copy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from db import Database, DatabaseSettings, Tls
from db.settings import Mode
from local.pgbouncer import PgBouncer, PgBouncerNotFoundError
from local.postgres import PostgresServer

pytest_plugins = ["tests.searching", "tests.clusters", "tests.emulators", "tests.nothing_skipped", "tests.noticing"]


settings.register_profile(
    "here", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow], database=None
)
settings.load_profile("here")  # the same examples each time, however slow the machine is
THROUGH = "--through-pgbouncer"
STALL_S = 30.0
"""What a transaction may idle where a test is not about that: longer than a busy machine stalls."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the tests that share a server reach it through a pooler."""
    parser.addoption(THROUGH, action="store_true", help="put PgBouncer in transaction mode before the shared server")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, through the pooler, the tests that do not use the shared server: nothing would be different."""
    if config.getoption(THROUGH):
        items[:] = [item for item in items if "postgres" in getattr(item, "fixturenames", ())]


def _skipping_without_pgbouncer() -> Generator[None, object, object]:
    """Skip, on a newcomer's machine without PgBouncer, what is shown with a real one; CI has it, and fails without."""
    try:
        return (yield)
    except PgBouncerNotFoundError as missing:
        if "CI" in os.environ:
            raise
        pytest.skip(str(missing))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, object, object]:
    """Let a fixture do without PgBouncer."""
    return (yield from _skipping_without_pgbouncer())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """Let a test do without PgBouncer."""
    return (yield from _skipping_without_pgbouncer())


@pytest.fixture(scope="session")
def connection_mode(request: pytest.FixtureRequest) -> Mode:
    """What a connection to the shared server leads to."""
    return Mode.POOLER if request.config.getoption(THROUGH) else Mode.DIRECT


@pytest.fixture(scope="session")
def server_itself(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server for the whole run, with no pooler before it: for what is about one session."""
    directory: Path = tmp_path_factory.mktemp("postgres") / "data"
    settings = {"autovacuum": "off"}  # which takes transaction ids when it likes
    with PostgresServer(directory, secrets.token_urlsafe(), settings=settings) as server:
        yield server


@pytest.fixture(scope="session")
def postgres(
    server_itself: PostgresServer, tmp_path_factory: pytest.TempPathFactory, connection_mode: Mode
) -> Iterator[PostgresServer]:
    """The same, or the pooler before it; a test that stops or fills a server starts its own."""
    if connection_mode is Mode.DIRECT:
        yield server_itself
        return
    with PgBouncer(server_itself, tmp_path_factory.mktemp("pgbouncer")) as pooler:
        yield as_seen_through(pooler)


def as_seen_through(pooler: PgBouncer) -> PostgresServer:
    """Return its server with the pooler's port in the place of its own."""
    seen = copy(pooler.server)
    seen.port = pooler.port
    return seen


@pytest.fixture(params=[0, 1], ids=["NullPool", "QueuePool(1)"])
def pool_size(request: pytest.FixtureRequest) -> int:
    """Both kinds of pool."""
    size: int = request.param
    return size


@pytest.fixture
def make_database(connection_mode: Mode) -> Iterator[Callable[..., Database]]:
    """Build databases that are closed, and proven to be given back, at the end of the test."""
    made: list[Database] = []

    def make(url: str, **settings: Any) -> Database:  # noqa: ANN401 - the test names the fields
        usual = {"tls": Tls.INSECURE_LOCAL_ONLY, "mode": connection_mode, "idle_in_transaction_s": STALL_S}
        made.append(Database(DatabaseSettings(url=url, **{**usual, **settings})))
        return made[-1]

    yield make
    for database in made:
        assert database.pool_state().borrowed == 0, "a connection was not given back"
        database.close()


@pytest.fixture
def database(make_database: Callable[..., Database], postgres: PostgresServer, pool_size: int) -> Database:
    """A Database on the shared server, once with each kind of pool."""
    return make_database(postgres.url(), pool_size=pool_size)
