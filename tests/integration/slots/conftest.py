"""Environments that share few slots: each a Database of its own on one real server."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from db import Borrow, Database, DatabaseSettings, Tls
from db.fleet.census import NEW_FOR_S
from db.observation import Silence
from local.postgres import PostgresServer

PASSWORD = secrets.token_urlsafe()
SLOTS = 10


class Facts(list[Borrow], Silence):
    """An observer that keeps the borrows."""

    def borrowed(self, borrow: Borrow) -> None:
        self.append(borrow)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """Ten slots for `app`, and five that only superusers get."""
    settings = {"max_connections": str(SLOTS + 5), "superuser_reserved_connections": "5"}
    directory: Path = tmp_path_factory.mktemp("fleet") / "data"
    with PostgresServer(directory, PASSWORD, settings=settings) as server:
        with psycopg.connect(server.url(), autocommit=True) as admin:
            admin.execute(f"create role app login password '{PASSWORD}'")
        yield server


@pytest.fixture
def facts() -> Facts:
    return Facts()


@pytest.fixture
def environment(server: PostgresServer, facts: Facts) -> Iterator[Callable[..., Database]]:
    """Make environments whose facts go to `facts`; all their connections are closed, and gone, after the test."""
    made: list[Database] = []

    def make(**settings: Any) -> Database:  # noqa: ANN401 - the test names the fields
        options: dict[str, Any] = {"url": server.url("app", PASSWORD), "tls": Tls.INSECURE_LOCAL_ONLY, **settings}
        made.append(Database(DatabaseSettings(**options), observer=facts))
        return made[-1]

    yield make
    for database in made:
        database.close()
    wait_until(lambda: connected(server) == 0)


def connected(server: PostgresServer) -> int:
    with psycopg.connect(server.url(), autocommit=True) as admin:
        counted = admin.execute("select count(*) from pg_stat_activity where usename = 'app'").fetchone()
    assert counted is not None
    number: int = counted[0]
    return number


def wait_until(is_so: Callable[[], bool], at_most_s: float = 10) -> None:
    give_up_at = time.monotonic() + at_most_s
    while not is_so():
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


def work(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(text("select :n"), {"n": 1})


@pytest.fixture
def take(server: PostgresServer) -> Iterator[Callable[[int], list[psycopg.Connection]]]:
    """Take so many slots from everybody."""
    with ExitStack() as stack:

        def taken(slots: int) -> list[psycopg.Connection]:
            url = server.url("app", PASSWORD)
            return [stack.enter_context(psycopg.connect(url, autocommit=True)) for _ in range(slots)]

        yield taken


@pytest.fixture
def crowded(take: Callable[[int], object]) -> int:
    """Take more than half of the slots, long enough ago that nobody expects more: leases are the shortest."""
    taken = SLOTS // 2
    take(taken)
    time.sleep(NEW_FOR_S)
    return taken
