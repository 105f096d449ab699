"""Rows 25 and 27: many environments at once, after a restart and at a deployment; in small what bench.fleet does."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from random import Random
from statistics import mean
from threading import Event, Timer
from typing import Any

import pytest
from psycopg import Connection
from sqlalchemy import text

from db import Database, DatabaseSettings, Tls, UnreachableError
from db.fleet.policy import FIRST_PATIENCE
from db.recovery.retry import wait_for_server_s
from local.postgres import PostgresServer
from tests.faults.proxy import Proxy
from tests.faults.server import admin, logs_in, ordinary_url, rows, terminate
from tests.noticing import Noticed

ENVIRONMENTS = 100
PATIENCE_S = 30.0
SLOT_WAIT_S = 1.0
TRIES = 50
"""With how many at most an administrator is let in, who asks again at once."""


@pytest.fixture
def environments() -> Iterator[Callable[..., list[Database]]]:
    """Make as many databases as asked for, each as in an environment of its own."""
    with ExitStack() as stack:

        def make(count: int, url: str, slot_wait_s: float = SLOT_WAIT_S) -> list[Database]:
            settings = DatabaseSettings(
                url=url,
                tls=Tls.INSECURE_LOCAL_ONLY,
                connect_timeout_s=PATIENCE_S,
                slot_wait_s=slot_wait_s,
            )
            made = [Database(settings) for _ in range(count)]
            for database in made:
                stack.callback(database.close)
            return made

        yield make


def ask(database: Database) -> float:
    """Return the seconds that an answer took."""
    began = time.monotonic()
    with database.transaction() as connection:
        assert connection.scalar(text("select 1")) == 1
    return time.monotonic() - began


def ideal_attempts(down_s: float) -> float:
    """Return how many attempts full jitter makes on average to get past `down_s` seconds, where each costs no time."""
    chance = Random(1)  # noqa: S311 - to be repeated, not to be secret
    refused = UnreachableError()

    def attempts() -> int:
        at, attempt = 0.0, 1
        while at < down_s:
            options = {"left_s": PATIENCE_S, "left_to_connect_s": PATIENCE_S}
            at += wait_for_server_s(refused, attempt, draw=chance.random, **options) or 0.0
            attempt += 1
        return attempt

    return mean(attempts() for _ in range(100))


def test_a_restart_is_no_stampede(
    environments: Callable[..., list[Database]], fault_server: PostgresServer, noticed: Noticed
) -> None:
    """Row 25: a hundred reconnect at once; each success takes at most twice the attempts that jitter alone would."""
    fault_server.stop("fast")
    roomy = PostgresServer(fault_server.directory, fault_server.password, settings={"max_connections": "150"})
    down_s = 1.0
    with Proxy(roomy.port, settle_s=0) as proxy:
        crowd = environments(ENVIRONMENTS, roomy.url(port=proxy.port))
        starter = Timer(down_s, roomy.start)
        starter.start()
        with ThreadPoolExecutor(ENVIRONMENTS) as threads:
            took = list(threads.map(ask, crowd))
        starter.join()
        attempts = proxy.accepted / ENVIRONMENTS
    for database in crowd:
        database.close()
    roomy.stop()
    fault_server.start()
    noticed(25, max(took), PATIENCE_S)
    ideal = mean(map(ideal_attempts, took))
    assert attempts <= 2 * ideal, (attempts, ideal)


def tries_to_log_in(server: PostgresServer) -> int:
    """Return how many it took until an administrator was let in."""
    tries = 1
    while not logs_in(server):
        time.sleep(0.01)
        tries += 1
    return tries


def test_ten_times_more_environments_than_slots_are_all_served(
    environments: Callable[..., list[Database]], fault_server: PostgresServer, noticed: Noticed
) -> None:
    """Row 26: each gets a slot before its patience ends, and no limit is exceeded; an administrator is let in.

    An instant later at the most: who is refused has a process of the server's too while it is being refused, and here
    sixty ask at the same moment for six slots of eight.
    """
    slots, slot_wait_s = 6, 9.0
    url = ordinary_url(fault_server, connection_limit=slots)
    crowd = environments(10 * slots, url, slot_wait_s)
    over, seen, tries = Event(), list[int](), list[int]()

    def look(session: Connection[Any]) -> None:
        is_over = False
        while not is_over:
            [[count]] = rows(session, "select count(*) from pg_stat_activity where usename = 'ordinary'")
            seen.append(count)
            tries.append(tries_to_log_in(fault_server))
            is_over = over.wait(0.05)

    with admin(fault_server) as session, ThreadPoolExecutor(len(crowd) + 1) as threads:
        looking = threads.submit(look, session)
        took = list(threads.map(ask, crowd))
        let_in_meanwhile = len(tries)
        over.set()
        looking.result()
    noticed(26, max(took), FIRST_PATIENCE * slot_wait_s)
    assert max(seen) <= slots
    assert let_in_meanwhile
    assert max(tries) <= TRIES


def test_new_environments_are_served_while_old_ones_idle(
    environments: Callable[..., list[Database]],
    fault_server: PostgresServer,
    noticed: Noticed,
) -> None:
    """Row 27: a deployment: the old ones have every slot and are never invoked again."""
    url, slot_wait_s = ordinary_url(fault_server), 5.0
    terminate(fault_server)
    old = environments(6, url)
    for database in old:
        ask(database)
    new = environments(6, url, slot_wait_s)
    with ThreadPoolExecutor(len(new)) as threads:
        took = list(threads.map(ask, new))
    noticed(27, max(took), FIRST_PATIENCE * slot_wait_s)
