"""Connections of our protocol to a test server, without SQLAlchemy."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from db.deadline import UNBOUNDED, Deadline
from db.protocol.connection import Connection, ConnectOptions, connect
from db.protocol.dial import Address
from db.protocol.opening import Habits
from local.postgres import PostgresServer


def options(server: PostgresServer, port: int | None = None, **changes: Any) -> ConnectOptions:  # noqa: ANN401 - ConnectOptions' fields
    """Return the superuser's login to `server`, through `port` where there is a proxy."""
    fields: dict[str, Any] = {
        "address": Address("127.0.0.1", port or server.port),
        "user": "postgres",
        "password": server.password,
        "required": {"database": "postgres", "application_name": "test"},
        **changes,
    }
    return ConnectOptions(**fields)


@contextmanager
def connected(
    server: PostgresServer,
    port: int | None = None,
    *,
    deadline: Deadline = UNBOUNDED,
    habits: Habits | None = None,
    autocommit: bool = False,
    reserve_s: float = 2.0,
    **changes: Any,  # noqa: ANN401 - ConnectOptions' fields
) -> Iterator[Connection]:
    """Lend a connection, closed at the end."""
    connection = connect(options(server, port, **changes), deadline=deadline, habits=habits, reserve_s=reserve_s)
    connection.autocommit = autocommit
    try:
        yield connection
    finally:
        connection.close()


def rows(connection: Connection, statement: str, values: Sequence[Any] = ()) -> list[list[Any]]:
    """Run a statement and return its rows."""
    cursor = connection.cursor()
    cursor.execute(statement, values)
    return list(cursor.fetchall())


def value(connection: Connection, statement: str, values: Sequence[Any] = ()) -> Any:  # noqa: ANN401 - any value
    """Run a statement and return the first value of its first row."""
    return rows(connection, statement, values)[0][0]
