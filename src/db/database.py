"""Database: lends connections, takes them back, and says what happened. Built outside the handler, used inside."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property, partial
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar, cast

from sqlalchemy import Connection, Engine

from db.borrows import Borrows
from db.checkin import clean_on_return, end_on_return, expire_on_return
from db.connector import Connector
from db.credentials.choice import credentials_from
from db.credentials.identity import Credentials, Login
from db.deadline import Deadline
from db.engine import build_engine
from db.errors import ConnectionLostError, LoginRefusedError, SaturatedError, SlotwiseError
from db.failures import borrowing, connect_failure, kind_of, repeating_a_loss, translated
from db.fleet.member import Member
from db.observation import Observer, PoolState, Repeat, Silence, SlowStatement
from db.protocol.server_errors import NotLoggedInError
from db.recovery.abandoned import Abandoned
from db.recovery.reach import reach
from db.recovery.retry import repeat, wait_for_work_s
from db.rehearsal import Work, rehearse
from db.settings import DatabaseSettings, Mode, Switch
from db.statements.comment import comment
from db.statements.slow import plan_of, warn_of_pins
from db.statements.watched import WatchedConnection

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

Result = TypeVar("Result")
NO_TAGS: Mapping[str, str] = MappingProxyType({})


class Database:
    """One PostgreSQL database, as this execution environment sees it. Building it opens nothing."""

    def __init__(
        self, settings: DatabaseSettings, *, credentials: Credentials | None = None, observer: Observer | None = None
    ) -> None:
        self.settings = settings
        self.observer = Silence() if observer is None else observer
        self._invocation: Deadline | None = None
        self._comment = ""
        self._borrows = Borrows(settings.pool_size)
        self._abandoned = Abandoned()
        self._member = Member(settings, self.deadline)
        self._credentials = credentials or credentials_from(settings)
        self._connector = Connector(settings, self._credentials, self.deadline, self._member.startup_parameters)

    @cached_property
    def engine(self) -> Engine:
        """The engine behind the borrows; for Alembic and tools."""
        member, connector = self._member, self._connector
        engine = build_engine(self.settings.pool_size, self._open_lasting, self.deadline, lambda: self._comment)
        if self.settings.mode is Mode.POOLER:
            end_on_return(engine)
            warn_of_pins(engine, self.observer.pins)
        else:
            clean_on_return(engine)
        member.attach(engine, lambda: connector.takes_parameters)
        expire_on_return(engine, self._credentials.has_expired)
        return engine

    def _open_lasting(self) -> WatchedConnection:
        """Open a connection that finds another session by itself: its login may be refused in its first flight.

        Not where lost sessions are to be ended first: that flight is theirs, and not the borrower's.
        """
        connection = self._open(joins=self._member.expects_room() and self._abandoned.statement() is None)
        connection.reopen, connection.repeating = self._open, self._sends_again
        connection.slow_ms, connection.tell_slow = self.settings.slow_statement_ms, self.observer.slow
        return connection

    def _open(self, *, joins: bool = False) -> WatchedConnection:
        connect = partial(self._connector.connect, joins=joins)
        return self._member.with_slot(lambda: reach(connect, self.deadline(), self.settings, self._abandoned))

    def _sends_again(self, error: Exception, login: Login) -> None:
        if isinstance(error, NotLoggedInError):
            self._refused_late(error, login)
        else:
            self._repeats(error)

    def _refused_late(self, error: Exception, login: Login) -> None:
        failure = connect_failure(error)
        if isinstance(failure, SaturatedError):
            self._member.was_refused_late()
        if isinstance(failure, LoginRefusedError):
            self._connector.was_refused_late(login, error)

    def _repeats(self, error: Exception, wait_s: float = 0.0) -> None:
        known = translated(error, when_broken=ConnectionLostError) or error
        self.observer.repeated(Repeat(kind=kind_of(known), wait_ms=wait_s * 1000))

    def deadline(self) -> Deadline:
        """Return when the work must have ended: the invocation's end less the reserve, else the default time-out."""
        return self._invocation or Deadline.after(self.settings.default_timeout_s)

    @contextmanager
    def invocation(self, remaining_ms: float, tags: Mapping[str, str] = NO_TAGS) -> Iterator[None]:
        """Bound everything inside by an invocation that has `remaining_ms` left, less the reserve.

        At its end, whatever was borrowed and not given back is taken back. Its statements carry `tags` as a comment.
        """
        self._invocation = Deadline.after(remaining_ms / 1000 - self.settings.reserve_s)
        self._comment = comment(tags) if self.settings.sql_comments is Switch.ON else ""
        try:
            yield
        finally:
            self._invocation, self._comment = None, ""
            self._take_back()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Lend a connection in a transaction: committed at the end, rolled back on an error."""
        with self._borrow() as connection, connection.begin():
            yield connection

    def run_transaction(self, work: Callable[[Connection], Result]) -> Result:
        """Return what `work(connection)` returns, committed; run it again where nothing can have been committed.

        That is after a serialization failure, a deadlock, a failover, or a connection that died before COMMIT was sent,
        at most `max_attempts` times and within the deadline; while the server takes no writes (25006), up to the
        deadline. What `work` does besides the database it may do again.
        Nor is it repeated where `work` has committed something itself, or writes where it has asked for READ ONLY.
        CommitUnknownError where the answer to COMMIT was lost and the server cannot be asked before the deadline.
        """
        deadline, max_attempts = self.deadline(), self.settings.max_attempts
        lent: WatchedConnection | None = None

        def once() -> Result:
            nonlocal lent
            lent = None  # where none is to be had, the one before it says nothing of this run
            with self.transaction() as connection:
                lent = _driver_connection(connection)
                return work(connection)

        def wait_s(error: SlotwiseError, attempt: int) -> float | None:
            if lent is not None and lent.is_final(error):
                return None
            return wait_for_work_s(error, attempt, max_attempts=max_attempts, left_s=deadline.remaining_s())

        return repeat(once, wait_s=wait_s, repeating=self._repeats)

    @contextmanager
    def autocommit(self) -> Iterator[Connection]:
        """Lend a connection on which each statement is a transaction of its own."""
        with self._borrow() as connection:
            _driver_connection(connection).autocommit = True
            yield connection

    @contextmanager
    def session(self) -> Iterator["Session"]:
        """Lend an ORM session in a transaction; the ORM is imported here and only here.

        PendingRollbackError where a flush had failed, which has rolled everything back, and that was not dealt with.
        """
        from sqlalchemy.orm import Session  # noqa: PLC0415 - the ORM costs an import that few handlers need

        with self.transaction() as connection, Session(connection) as session:
            yield session
            session.flush()
            if not session.is_active:
                session.connection()  # which raises what the ORM raises wherever such a session is used

    @contextmanager
    def _borrow(self) -> Iterator[Connection]:
        trip = self._borrows.begin()
        try:
            with borrowing(), self.engine.connect() as connection, repeating_a_loss(connection):
                trip.had(connection)
                yield connection
        except BaseException as error:
            trip.failure = kind_of(error)
            raise
        finally:
            if borrow := self._borrows.end(trip, self._member.take_facts):
                self.observer.borrowed(borrow)

    def _take_back(self) -> None:
        for borrow, leaked in self._borrows.take_back(self._member.take_facts):
            self.observer.borrowed(borrow)
            self.observer.leaked(leaked)

    def pool_state(self) -> PoolState:
        """Return what the pool holds now, without a round trip."""
        pool = self.engine.pool
        idle, borrowed = getattr(pool, "checkedin", int)(), getattr(pool, "checkedout", int)()
        return PoolState(kind=type(pool).__name__, size=self.settings.pool_size, idle=idle, borrowed=borrowed)

    def prepare(self, deadline: Deadline) -> None:
        """Do ahead what the first borrow would do, up to connecting; raise SecretError or ConfigurationError."""
        _ = self.engine
        self._connector.prepare(deadline)

    def rehearse(self, works: Iterable[Work]) -> None:
        """Compile ahead the statement that each of `works` begins with when it is run; ask nobody."""
        for work in works:
            rehearse(self.engine, work)

    def forget(self) -> None:
        """Close every idle connection, and forget secrets, keys, and what was seen of the fleet."""
        self.close()
        self._connector.forget()
        self._member.forget()

    def plan_of(self, slow: SlowStatement) -> list[str]:
        """Return the plan that PostgreSQL has for the statement, without running it: a line a node, and no value."""
        with self.transaction() as connection:
            return plan_of(connection, slow.statement)

    def close(self) -> None:
        """Close every idle connection; the next borrow opens a new one."""
        self.engine.dispose()

    def __repr__(self) -> str:
        """Show settings, never a secret."""
        return f"Database({self.settings!r})"


def _driver_connection(connection: Connection) -> WatchedConnection:
    return cast("WatchedConnection", connection.connection.dbapi_connection)
