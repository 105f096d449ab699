"""The rules of the libraries that are made for Lambda, written down in our words."""

import random
import time
from typing import Any

import psycopg2

from bench.fleet.counting import Counts, Transact, counted_connect, work
from bench.fleet.scenarios import Scenario


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
            work(held[0], work_s)
        except psycopg2.OperationalError:
            held[:] = [connected()]
            work(held[0], work_s)
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
        work(held[0], work_s)

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
