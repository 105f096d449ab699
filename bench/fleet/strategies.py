"""How an environment comes by a connection: ours, and what others do. Each returns right after the transaction.

A strategy is made once in an environment of a scenario and then called for each invocation with the seconds that the
statement takes and the seconds that are left. Where a library has rules for Lambda, they are written down here in our
words.
"""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
import psycopg2
import psycopg2.extensions
from psycopg2.pool import SimpleConnectionPool
from psycopg_pool import ConnectionPool
from sqlalchemy import NullPool, QueuePool, create_engine, text

from bench.fleet.scenarios import Scenario
from db import Borrow, Database, DatabaseSettings, Tls
from db.observation import Silence

WORK = "select pg_sleep(%s)"
Transact = Callable[[float, float], None]
Strategy = Callable[[str, Scenario, "Counts"], Transact]


@dataclass
class Counts(Silence):
    """What the invocation that goes on has cost the server."""

    attempts: int = 0
    connects: int = 0

    def reset(self) -> None:
        """Begin anew."""
        self.attempts = self.connects = 0

    def borrowed(self, borrow: Borrow) -> None:
        """Take our own fact."""
        self.connects += borrow.opened
        self.attempts += borrow.slots.refusals + borrow.opened


def slotwise(url: str, scenario: Scenario, counts: Counts) -> Transact:
    """Do what this package does; it is told how many environments there can be, as the template tells it."""
    settings = DatabaseSettings(url=url, tls=Tls.INSECURE_LOCAL_ONLY, fleet_environments=scenario.max_environments)
    database = Database(settings, observer=counts)

    def transact(work_s: float, left_s: float) -> None:
        with database.invocation(left_s * 1000), database.transaction() as connection:
            connection.execute(text("select pg_sleep(:work_s)"), {"work_s": work_s})

    return transact


def counted_connect(url: str, counts: Counts) -> Callable[[], Any]:
    """Return psycopg2's connect, counting."""

    def connect() -> Any:  # noqa: ANN401 - psycopg2 has no types
        counts.attempts += 1
        connection = psycopg2.connect(url, connect_timeout=5)
        counts.connects += 1
        return connection

    return connect


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
        _work(held[0], work_s)

    return transact


def _work(connection: Any, work_s: float) -> None:  # noqa: ANN401 - any DBAPI connection
    with connection.cursor() as cursor:
        cursor.execute(WORK, (work_s,))
    connection.commit()


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
            _work(connection, work_s)
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


def is_full(error: psycopg2.Error) -> bool:
    """Say whether the server had no slot; psycopg2 gives no SQLSTATE where connecting fails."""
    return "slots" in str(error) or "too many" in str(error)


def serverless_mysql(url: str, _scenario: Scenario, counts: Counts) -> Transact:
    """Follow serverless-mysql 1.5.4: count at the end; over 80 % kill who sleeps longest, or else close one's own."""
    connect = counted_connect(url, counts)
    held: list[Any] = []

    def connected() -> Any:  # noqa: ANN401 - psycopg2 has no types
        for retries in range(51):
            try:
                return connect()
            except psycopg2.OperationalError as error:
                if not is_full(error) or retries == 50:  # noqa: PLR2004 - its default
                    raise
                time.sleep(random.uniform(0, min(100, 2 * 2**retries)) / 1000)  # noqa: S311 - its rule
        raise AssertionError

    def transact(work_s: float, _left_s: float) -> None:
        if not held or held[0].closed:
            held[:] = [connected()]
        try:
            _work(held[0], work_s)
        except psycopg2.OperationalError:
            held[:] = [connected()]
            _work(held[0], work_s)
        if _mysql_end(held[0]):
            held.pop().close()

    return transact


def _mysql_end(connection: Any) -> bool:  # noqa: ANN401 - psycopg2 has no types
    """Say whether to close the own connection after killing what should be killed."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(*), current_setting('max_connections')::int,"
            " coalesce(max(extract(epoch from now() - state_change)) filter (where state = 'idle'), 0)::float"
            " from pg_stat_activity where usename is not null"
        )
        total, most, oldest_s = cursor.fetchone()
        at_least_s = min(max(oldest_s, 3.0), 900.0)
        killed = 0
        if total / most > 0.8 and at_least_s <= oldest_s:  # noqa: PLR2004 - its default
            cursor.execute(
                "select count(pg_terminate_backend(pid)) from pg_stat_activity where usename = current_user"
                " and state = 'idle' and extract(epoch from now() - state_change) >= %s",
                (at_least_s,),
            )
            killed = cursor.fetchone()[0]
    connection.commit()
    return bool(total / most > 0.8 and not killed)  # noqa: PLR2004 - its default


def serverless_postgres(url: str, scenario: Scenario, counts: Counts) -> Transact:
    """Follow serverless-postgres 1.3.0: when over 80 % are taken, kill who has idled for half a second."""
    connect = counted_connect(url, counts)
    held: list[Any] = []

    def attempt(work_s: float) -> None:
        if not held or held[0].closed:
            held[:] = [connect()]
        _work(held[0], work_s)

    def transact(work_s: float, _left_s: float) -> None:
        for retries in range(4):
            try:
                attempt(work_s)
                break
            except psycopg2.OperationalError:
                if retries == 3:  # noqa: PLR2004 - its default
                    raise
                time.sleep(min(1000, random.uniform(2, 3000)) / 1000)  # noqa: S311 - its rule
        _postgres_clean(held[0], scenario.slots)

    return transact


def _postgres_clean(connection: Any, slots: int) -> None:  # noqa: ANN401 - psycopg2 has no types
    with connection.cursor() as cursor:
        cursor.execute(
            "select count(*) from pg_stat_activity where usename = current_user and datname = current_database()"
        )
        if cursor.fetchone()[0] > slots * 0.8:
            cursor.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where usename = current_user"
                " and datname = current_database() and state = 'idle' and now() - state_change > interval '0.5 s'"
            )
    connection.commit()


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
