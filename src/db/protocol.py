"""The pg8000 connection. The only file that knows pg8000's internals."""

from ssl import SSLContext
from typing import Any

from pg8000.dbapi import Connection as StockConnection
from pg8000.dbapi import DatabaseError, InterfaceError

CHECKED_WITH = ("1.31.6",)
"""The versions of pg8000 that this file was checked with."""


class Connection(StockConnection):
    """A connection to one server."""


def connect(
    *,
    user: str,
    password: str,
    host: str,
    port: int,
    database: str,
    tls: SSLContext | None,
    timeout_s: float,
    application_name: str,
) -> Connection:
    """Open a connection within `timeout_s` seconds."""
    return Connection(
        user,
        host=host,
        port=port,
        database=database,
        password=password,
        ssl_context=tls or False,
        timeout=timeout_s,
        application_name=application_name,
    )


def sqlstate_of(error: BaseException) -> str | None:
    """Return the SQLSTATE of a server's error; None for any other."""
    details: Any = error.args[0] if isinstance(error, DatabaseError) and error.args else None
    return details.get("C") if isinstance(details, dict) else None


def is_broken(error: BaseException) -> bool:
    """Say whether the error means that the connection itself is gone."""
    return isinstance(error, InterfaceError | OSError)
