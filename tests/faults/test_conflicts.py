"""Transactions that meet each other on a real server: run_transaction runs the one that had to give way again."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import Connection, text

from db import ConflictError, Database
from local.postgres import PostgresServer
from tests.faults.server import admin, run

ADD = text("update conflicts set n = n + 1 where id = :id")


@pytest.fixture(autouse=True)
def table(postgres: PostgresServer) -> None:
    run(postgres, "drop table if exists conflicts")
    run(postgres, "create table conflicts (id int primary key, n int)")
    run(postgres, "insert into conflicts values (1, 0), (2, 0)")


@pytest.fixture
def pair(make_database: Callable[..., Database], postgres: PostgresServer) -> list[Database]:
    """Two environments."""
    return [make_database(postgres.url()) for _ in range(2)]


def both(pair: list[Database], work: Callable[[Connection, int, int], None]) -> list[int]:
    """Let each run `work(connection, which, run)`; return how often it ran."""

    def runs(which: int) -> int:
        count = 0

        def once(connection: Connection) -> None:
            nonlocal count
            count += 1
            work(connection, which, count)

        pair[which].run_transaction(once)
        return count

    with ThreadPoolExecutor(2) as threads:
        return sorted(threads.map(runs, range(2)))


def values(postgres: PostgresServer) -> list[int]:
    return [n for (n,) in run(postgres, "select n from conflicts order by id")]


def test_a_deadlock_is_resolved(pair: list[Database], postgres: PostgresServer) -> None:
    """40P01: one of the two is rolled back and runs again; both are applied once."""
    meet = Barrier(2)

    def work(connection: Connection, which: int, count: int) -> None:
        mine, yours = (1, 2) if which else (2, 1)
        connection.execute(ADD, {"id": mine})
        if count == 1:
            meet.wait(10)
        connection.execute(ADD, {"id": yours})

    assert max(both(pair, work)) >= 2
    assert values(postgres) == [2, 2]


def test_a_serialization_failure_at_commit_is_resolved(pair: list[Database], postgres: PostgresServer) -> None:
    """40001, as SERIALIZABLE finds it: each reads what the other writes, and the later COMMIT is refused."""
    meet = Barrier(2)

    def work(connection: Connection, which: int, count: int) -> None:
        connection.execute(text("set transaction isolation level serializable"))
        total = connection.scalar(text("select sum(n)::int from conflicts")) or 0
        if count == 1:
            meet.wait(10)
        connection.execute(text("update conflicts set n = :n where id = :id"), {"n": total + 1, "id": which + 1})
        if count == 1:
            meet.wait(10)

    assert max(both(pair, work)) >= 2
    assert sorted(values(postgres)) == [1, 2]


def test_a_lock_that_is_not_to_be_had_is_a_conflict(pair: list[Database], postgres: PostgresServer) -> None:
    """55P03, of NOWAIT or the role's lock_timeout: the work is run again, and in the end it is a typed error."""
    database, _ = pair
    runs = []

    def work(connection: Connection) -> None:
        runs.append(1)
        connection.execute(text("select * from conflicts where id = 1 for update nowait"))

    with admin(postgres) as other, other.transaction():
        other.execute("select * from conflicts where id = 1 for update")
        with pytest.raises(ConflictError):
            database.run_transaction(work)
    assert len(runs) == database.settings.max_attempts
