"""Database: lends connections, takes them back, and says what happened. Built outside the handler, used inside."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine

from db.connector import Connector
from db.credentials import Credentials, credentials_from
from db.deadline import Deadline
from db.engine import CONNECT_MS, build_engine
from db.failures import borrowing, kind_of
from db.observation import Borrow, Observer, PoolState, Silence
from db.settings import DatabaseSettings

if TYPE_CHECKING:
    from sqlalchemy.orm import Session


class Database:
    """One PostgreSQL database, as this execution environment sees it. Building it opens nothing."""

    def __init__(
        self, settings: DatabaseSettings, *, credentials: Credentials | None = None, observer: Observer | None = None
    ) -> None:
        self.settings = settings
        self.observer = observer or Silence()
        self._credentials = credentials or credentials_from(settings)
        self._invocation: Deadline | None = None

    @cached_property
    def engine(self) -> Engine:
        """The engine behind the borrows; for Alembic and tools."""
        connector = Connector(self.settings, self._credentials, self.deadline)
        return build_engine(self.settings.pool_size, connector.connect, self.deadline)

    @cached_property
    def _autocommit_engine(self) -> Engine:
        return self.engine.execution_options(isolation_level="AUTOCOMMIT")

    def deadline(self) -> Deadline:
        """Return when the work must have ended: the invocation's end less the reserve, else the default time-out."""
        return self._invocation or Deadline.after(self.settings.default_timeout_s)

    @contextmanager
    def invocation(self, remaining_ms: float) -> Iterator[None]:
        """Bound everything inside by an invocation that has `remaining_ms` left, less the reserve."""
        self._invocation = Deadline.after(remaining_ms / 1000 - self.settings.reserve_s)
        try:
            yield
        finally:
            self._invocation = None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Lend a connection in a transaction: committed at the end, rolled back on an error."""
        with self._borrow(self.engine) as connection, connection.begin():
            yield connection

    @contextmanager
    def autocommit(self) -> Iterator[Connection]:
        """Lend a connection on which each statement is a transaction of its own."""
        with self._borrow(self._autocommit_engine) as connection:
            yield connection

    @contextmanager
    def session(self) -> Iterator["Session"]:
        """Lend an ORM session in a transaction; the ORM is imported here and only here."""
        from sqlalchemy.orm import Session  # noqa: PLC0415 - the ORM costs an import that few handlers need

        with self.transaction() as connection, Session(connection) as session:
            yield session
            session.flush()

    @contextmanager
    def _borrow(self, engine: Engine) -> Iterator[Connection]:
        trip = _Trip()
        try:
            with borrowing(), engine.connect() as connection:
                trip.had(connection)
                yield connection
        except BaseException as error:
            trip.failure = kind_of(error)
            raise
        finally:
            self.observer.borrowed(trip.ended())

    def pool_state(self) -> PoolState:
        """Return what the pool holds now, without a round trip."""
        pool = self.engine.pool
        idle, borrowed = getattr(pool, "checkedin", int)(), getattr(pool, "checkedout", int)()
        return PoolState(kind=type(pool).__name__, size=self.settings.pool_size, idle=idle, borrowed=borrowed)

    def close(self) -> None:
        """Close every idle connection; the next borrow opens a new one."""
        self.engine.dispose()

    def __repr__(self) -> str:
        """Show settings, never a secret."""
        return f"Database({self.settings!r})"


class _Trip:
    """The times of one borrow while it goes on."""

    def __init__(self) -> None:
        self._asked = time.monotonic()
        self._had: float | None = None
        self._connect_ms: float | None = None
        self.failure: str | None = None

    def had(self, connection: Connection) -> None:
        self._had = time.monotonic()
        self._connect_ms = connection.info.pop(CONNECT_MS, None)

    def ended(self) -> Borrow:
        now = time.monotonic()
        had = self._had or now
        return Borrow(
            waited_ms=(had - self._asked) * 1000,
            connect_ms=self._connect_ms,
            held_ms=(now - had) * 1000,
            failure=self.failure,
        )
