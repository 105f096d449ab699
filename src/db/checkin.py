"""A connection's way back to the pool: rolled back, and without what its borrower left in the session.

A session in which nothing was left costs no flight beyond the rollback of a transaction that is still open.
"""

from collections.abc import Callable

from sqlalchemy import Connection, Engine, event
from sqlalchemy.pool import ConnectionPoolEntry, PoolResetState

from db.protocol.connection import Connection as Session
from db.statements.residue import CLEAN_UP, may_leave

RESIDUE = "slotwise_residue"
"""Key in a pooled connection's info: a statement may have left something in the session."""

WAS_RESET = "slotwise_was_reset"
"""Key in a pooled connection's info: its settings are those that it began with again."""


def clean_on_return(engine: Engine) -> None:
    """Let each connection of `engine` come back clean; its pool must leave the reset to this."""
    event.listen(engine, "before_cursor_execute", _note_residue)
    event.listen(engine.pool, "reset", _reset)


def end_on_return(engine: Engine) -> None:
    """Let each connection of `engine` end where a statement may have left something in its session.

    Behind a pooler nobody can clean that: the next statement goes to whatever session is free. Who ends his connection
    unpins the one that RDS Proxy has pinned to it.
    """
    event.listen(engine, "before_cursor_execute", _note_residue)
    event.listen(engine.pool, "reset", _roll_back)
    event.listen(engine, "checkin", _end)


def expire_on_return(engine: Engine, has_expired: Callable[[str | None], bool]) -> None:
    """Let each connection of `engine` end when it comes back, not sooner, once the version it logged in with is old."""

    def end_if_expired(connection: Session | None, entry: ConnectionPoolEntry) -> None:
        if connection is not None and entry.dbapi_connection is not None and has_expired(connection.login_version):
            entry.invalidate()

    event.listen(engine, "checkin", end_if_expired)


def _note_residue(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
    if may_leave(statement):
        connection.info[RESIDUE] = True


def _roll_back(connection: Session, _entry: ConnectionPoolEntry, _state: PoolResetState) -> None:
    connection.rollback()


def _end(_connection: Session | None, entry: ConnectionPoolEntry) -> None:
    if entry.info.pop(RESIDUE, False):
        entry.close()


def _reset(connection: Session, entry: ConnectionPoolEntry, _state: PoolResetState) -> None:
    """Raise what fails: the pool then closes the connection."""
    connection.rollback()
    if entry.info.pop(RESIDUE, False):
        connection.execute_simple(CLEAN_UP)
        entry.info[WAS_RESET] = True
