"""Processes of the server's own that work in a database and hold no slot: the parallel workers of a statement."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from tests.faults.server import wait_until

SETTINGS = ("min_parallel_table_scan_size = 0", "parallel_setup_cost = 0", "parallel_tuple_cost = 0")
WORKERS = "select count(*) from pg_stat_activity where backend_type = 'parallel worker'"


@contextmanager
def parallel_workers(session: psycopg.Connection, superuser: psycopg.Connection) -> Iterator[None]:
    """Let `session` run a statement with two workers until the block is left; it may make temporary things nowhere."""
    superuser.execute("create table scanned as select repeat('x', 1000) as wide from generate_series(1, 200)")
    superuser.execute("grant select on scanned to public")
    superuser.execute("alter table scanned set (parallel_workers = 2)")
    for setting in SETTINGS:
        session.execute(f"set {setting}")
    asked = threading.Thread(target=_ask, args=(session,))
    asked.start()
    try:
        wait_until(lambda: superuser.execute(WORKERS).fetchone() == (2,))
        yield
    finally:
        session.cancel()
        asked.join()
        superuser.execute("drop table scanned")


def _ask(session: psycopg.Connection) -> None:
    try:
        session.execute("select count(pg_sleep(0.2)) from scanned")
    except psycopg.errors.QueryCanceled:
        return
