"""The SQLAlchemy engine: our dialect, a pool of one or none, and our own way to connect."""

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry, NullPool, QueuePool

import db.dialect  # noqa: F401 - registers postgresql+slotwise
from db.borrows import CONNECT_MS
from db.deadline import Deadline
from db.recovery.lasting import LastingConnection


def build_engine(
    pool_size: int,
    connect: Callable[[], LastingConnection],
    deadline: Callable[[], Deadline],
    comment: Callable[[], str],
) -> Engine:
    """Return an engine that keeps `pool_size` connections (0: none), opened with `connect`; opens nothing yet.

    Each checkout is bounded by what `deadline` returns then, and its statements carry what `comment` does.
    """
    engine = create_engine(
        "postgresql+slotwise://",
        hide_parameters=True,
        pool_reset_on_return=None,
        ask_defaults=False,
        **_pool(pool_size),
    )

    def open_connection(
        _dialect: object, entry: ConnectionPoolEntry, _args: object, _options: object
    ) -> DBAPIConnection:
        began = time.monotonic()
        connection = connect()
        entry.info[CONNECT_MS] = (time.monotonic() - began) * 1000
        return connection

    def bound(connection: LastingConnection, _entry: ConnectionPoolEntry, _proxy: object) -> None:
        connection.lend(deadline(), comment())

    event.listen(engine, "do_connect", open_connection)
    event.listen(engine, "checkout", bound)
    return engine


def _pool(pool_size: int) -> dict[str, Any]:
    if pool_size == 0:
        return {"poolclass": NullPool}
    # The ping is our dialect's: it looks at the socket and costs no flight.
    return {
        "poolclass": QueuePool,
        "pool_size": pool_size,
        "max_overflow": 0,
        "pool_timeout": 0,
        "pool_pre_ping": True,
    }
