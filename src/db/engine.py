"""The SQLAlchemy engine: our dialect, a pool of one or none, and our own way to connect."""

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import ConnectionPoolEntry, NullPool, QueuePool

import db.dialect  # noqa: F401 - registers postgresql+slotwise

CONNECT_MS = "slotwise_connect_ms"
"""Key in a pooled connection's info: how long opening it took; taken out by the first borrow."""


def build_engine(pool_size: int, connect: Callable[[], Any]) -> Engine:
    """Return an engine that keeps `pool_size` connections (0: none), opened with `connect`; opens nothing yet."""
    engine = create_engine("postgresql+slotwise://", hide_parameters=True, **_pool(pool_size))

    def open_connection(
        _dialect: object, entry: ConnectionPoolEntry, _args: object, _options: object
    ) -> DBAPIConnection:
        began = time.monotonic()
        connection: DBAPIConnection = connect()
        entry.info[CONNECT_MS] = (time.monotonic() - began) * 1000
        return connection

    event.listen(engine, "do_connect", open_connection)
    return engine


def _pool(pool_size: int) -> dict[str, Any]:
    if pool_size == 0:
        return {"poolclass": NullPool}
    return {"poolclass": QueuePool, "pool_size": pool_size, "max_overflow": 0, "pool_timeout": 0}
