"""How an environment comes by a connection: ours, and what others do. Each returns right after the transaction.

A strategy is made once in an environment of a scenario and then called for each invocation with the seconds that the
statement takes and the seconds that are left.
"""

import logging
from typing import Any

import psycopg
import psycopg2.extensions
from psycopg2.pool import SimpleConnectionPool
from psycopg_pool import ConnectionPool
from sqlalchemy import NullPool, QueuePool, create_engine, text

from bench.fleet.counting import WORK, Counts, Strategy, Transact, counted_connect, work
from bench.fleet.scenarios import Scenario
from bench.fleet.serverless import serverless_mysql, serverless_postgres
from db import Database, DatabaseSettings, Tls


def slotwise(url: str, scenario: Scenario, counts: Counts) -> Transact:
    """Do what this package does; it is told how many environments there can be, as the template tells it."""
    settings = DatabaseSettings(url=url, tls=Tls.INSECURE_LOCAL_ONLY, fleet_environments=scenario.max_environments)
    database = Database(settings, observer=counts)

    def transact(work_s: float, left_s: float) -> None:
        with database.invocation(left_s * 1000), database.transaction() as connection:
            connection.execute(text("select pg_sleep(:work_s)"), {"work_s": work_s})

    return transact


def null_pool(url: str, _scenario: Scenario, counts: Counts) -> Transact:
    """Connect for each transaction: SQLAlchemy with NullPool."""
    return _through_sqlalchemy(
        create_engine("postgresql+psycopg2://", creator=counted_connect(url, counts), poolclass=NullPool)
    )


def queue_pool(url: str, _scenario: Scenario, counts: Counts) -> Transact:
    """Keep what was opened: SQLAlchemy's defaults, 5 and 10 more."""
    return _through_sqlalchemy(
        create_engine("postgresql+psycopg2://", creator=counted_connect(url, counts), poolclass=QueuePool)
    )


def _through_sqlalchemy(engine: Any) -> Transact:  # noqa: ANN401 - an Engine
    def transact(work_s: float, _left_s: float) -> None:
        with engine.begin() as connection:
            connection.execute(text("select pg_sleep(:work_s)"), {"work_s": work_s})

    return transact


def kept(url: str, _scenario: Scenario, counts: Counts) -> Transact:
    """Keep a connection in the module, open a new one when it has died: what most tutorials show."""
    connect = counted_connect(url, counts)
    held: list[Any] = []

    def transact(work_s: float, _left_s: float) -> None:
        if not held or held[0].closed:
            held[:] = [connect()]
        work(held[0], work_s)

    return transact


def psycopg2_pool(url: str, _scenario: Scenario, counts: Counts) -> Transact:
    """Take psycopg2's own pool, of one to ten."""

    class Counting(psycopg2.extensions.connection):  # type: ignore[misc]  # psycopg2 has no types
        def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - psycopg2's own
            counts.attempts += 1
            super().__init__(*args, **options)
            counts.connects += 1

    pools: list[SimpleConnectionPool] = []

    def transact(work_s: float, _left_s: float) -> None:
        if not pools:
            pools.append(SimpleConnectionPool(1, 10, url, connection_factory=Counting))
        connection = pools[0].getconn()
        try:
            work(connection, work_s)
        finally:
            pools[0].putconn(connection)

    return transact


def psycopg_pool(url: str, _scenario: Scenario, counts: Counts) -> Transact:
    """Take psycopg's pool with one connection, checked when borrowed; it reconnects in the background."""

    class Counting(psycopg.Connection[Any]):
        @classmethod
        def connect(cls, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - psycopg's own
            counts.attempts += 1
            connection = super().connect(*args, **options)
            counts.connects += 1
            return connection

    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
    pool = ConnectionPool(
        url, connection_class=Counting, min_size=1, max_size=1, open=False, check=ConnectionPool.check_connection
    )

    def transact(work_s: float, left_s: float) -> None:
        pool.open()
        with pool.connection(timeout=left_s) as connection:
            connection.execute(WORK, (work_s,))

    return transact


STRATEGIES: dict[str, Strategy] = {
    "slotwise": slotwise,
    "pgbouncer": queue_pool,
    "null_pool": null_pool,
    "queue_pool": queue_pool,
    "kept": kept,
    "psycopg2_pool": psycopg2_pool,
    "psycopg_pool": psycopg_pool,
    "serverless_mysql": serverless_mysql,
    "serverless_postgres": serverless_postgres,
}
"""Each by its name; in front of PgBouncer every environment keeps its connection."""
