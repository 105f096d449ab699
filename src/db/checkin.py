"""A connection's way back to the pool: rolled back, and without what its borrower left in the session.

A session in which nothing was left costs no flight beyond the rollback of a transaction that is still open.
"""

from collections.abc import Callable

from sqlalchemy import Engine, event
from sqlalchemy.pool import ConnectionPoolEntry, PoolResetState

from db.protocol.server_errors import DisconnectedError, NotLoggedInError
from db.recovery.lasting import LastingConnection


def clean_on_return(engine: Engine) -> None:
    """Let each connection of `engine` come back clean; its pool must leave the reset to this.

    Also one that ends when it comes back: a pooler that nobody told of may keep its session for somebody else.
    """
    event.listen(engine.pool, "reset", _reset)


def end_on_return(engine: Engine) -> None:
    """Let each connection of `engine` end where a statement may have left something in its session.

    Behind a pooler nobody can clean that: the next statement goes to whatever session is free. Who ends his connection
    unpins the one that RDS Proxy has pinned to it.
    """
    event.listen(engine.pool, "reset", _roll_back)
    event.listen(engine, "checkin", _end)


def expire_on_return(engine: Engine, has_expired: Callable[[str | None], bool]) -> None:
    """Let each connection of `engine` end when it comes back, not sooner, once the version it logged in with is old."""

    def end_if_expired(connection: LastingConnection | None, entry: ConnectionPoolEntry) -> None:
        if connection is None or entry.dbapi_connection is None:
            return
        if has_expired(connection.logged_in_as.version):
            entry.invalidate()

    event.listen(engine, "checkin", end_if_expired)


def _roll_back(connection: LastingConnection, _entry: ConnectionPoolEntry, _state: PoolResetState) -> None:
    """End the transaction, and a login that no statement has ended; close where that is too late, or refused."""
    connection.rollback()
    try:
        connection.finish_login()
    except (DisconnectedError, NotLoggedInError):
        connection.close()


def _end(connection: LastingConnection | None, entry: ConnectionPoolEntry) -> None:
    if connection is not None and connection.left_residue:
        entry.close()


def _reset(connection: LastingConnection, entry: ConnectionPoolEntry, state: PoolResetState) -> None:
    """Raise what fails: the pool then closes the connection. One that is gone has nothing left."""
    _roll_back(connection, entry, state)
    if connection.left_residue and connection.is_alive():
        connection.discard_all()
