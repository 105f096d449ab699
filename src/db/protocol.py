"""The connection that wastes no flight: statements and transactions.

A *flight* is what is sent at once before the server is waited for. BEGIN and the time limit travel in front of a
transaction's first statement, and one Sync ends them together, so that a BEGIN that fails stops what is behind it;
COMMIT is a flight; a transaction without statements costs none. Every flight ends by `connection.deadline`.

Riders are small statements that others let travel along, at no flight (see db.riders.Rider):

- `connection.behind_statement` is asked at each flight of a transaction. The rider is the flight's last statement, in
  the same transaction: should it fail, so does the transaction.
- `connection.behind_commit` is asked at each COMMIT, and at each statement that autocommit makes a transaction. The
  rider is a transaction of its own behind that one, and nobody is told should it fail.

Flow: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain, islice
from typing import Any

from pg8000.converters import make_params
from pg8000.core import Context

from db import wire
from db.comment import commented
from db.cursor import Cursor
from db.deadline import Deadline
from db.dial import Address
from db.flights import Flights
from db.login import Message
from db.opening import Habits, Session, open_session
from db.riders import FAILED, IDLE, NextRider, Rider, TransactionModes, may_commit, nobody, travelling_in_front
from db.server_errors import (
    DisconnectedError,
    ServerError,
    is_broken,
    sqlstate_of,
)
from db.transport import Transport

__all__ = ["CHECKED_WITH", "Connection", "Habits", "Rider", "Session", "connect", "is_broken", "sqlstate_of"]

CHECKED_WITH = ("1.31.6",)
"""The versions of pg8000 that this package was checked with."""

DEFAULT_RESERVE_S = 0.5
BATCH_BYTES = 1 << 18
"""How much of many parameter sets is sent in one flight."""


class Connection(Flights):
    """One session with one server."""

    def __init__(self, transport: Transport, address: Address, said: Iterable[Message], reserve_s: float) -> None:
        """Take over a transport that is logged in, and what the server said then."""
        super().__init__(transport, address, said, reserve_s)
        self.modes = TransactionModes()
        self.behind_statement: NextRider = nobody
        self.behind_commit: NextRider = nobody
        self.comment = ""
        """Sent behind each statement, past every cache that goes by its text."""
        self.login_version: str | None = None
        """Which version of a secret this logged in with; set by who opened it."""
        self._limited_by: Deadline | None = None

    def cursor(self) -> Cursor:
        """Return a new cursor."""
        return Cursor(self)

    # --- statements ---

    def run(
        self,
        statement: str,
        values: Sequence[Any] | None,
        oids: Sequence[int] = (),
        stream: Any = None,  # noqa: ANN401 - any kind of stream that pg8000 takes
    ) -> Context:
        """Run what a cursor was asked to, in a transaction unless autocommit is on; None for no values at all."""
        in_front = self._in_front(statement)
        try:
            return self._run(in_front, statement, values, oids, stream)
        except ServerError as error:
            alone = _wants_to_be_alone(error) or (values is None and self.autocommit and _is_several(error))
            if not (in_front and self._transaction_status == IDLE and alone):
                raise
        return self._run([], statement, values, oids, stream)

    def execute_unnamed(
        self,
        statement: str,
        vals: Sequence[Any] = (),
        oids: Sequence[int] = (),
        stream: Any = None,  # noqa: ANN401 - any kind of stream that pg8000 takes
    ) -> Context:
        """Run one statement just so, with nothing in front, as pg8000's own methods ask for."""
        return self._run([], statement, vals, oids, stream)

    def execute_simple(self, statement: str) -> Context:
        """Run one or more statements just so, with nothing in front, as pg8000's own methods ask for."""
        return self._run([], statement, None, (), None)

    def _in_front(self, statement: str) -> list[str]:
        if self._transaction_status == IDLE:
            self._limited_by = None
        is_known = self._limited_by is self.deadline or (self.autocommit and may_commit(statement))
        unknown = None if is_known else self.deadline
        return travelling_in_front(self._transaction_status, self.modes, unknown, autocommit=self.autocommit)

    def _run(
        self,
        in_front: Sequence[str],
        statement: str,
        values: Sequence[Any] | None,
        oids: Sequence[int],
        stream: Any,  # noqa: ANN401 - any kind of stream that pg8000 takes
    ) -> Context:
        context = Context(statement, stream=stream)
        if values is None and not (in_front and self.autocommit):
            self._fly_simple(in_front, context)
        else:
            messages = self._parse(statement, oids) + self._execution(values or ())
            self._fly(in_front, messages, [context])
        if in_front:
            self._limited_by = self.deadline
        return context

    def _parse(self, statement: str, oids: Sequence[int]) -> bytes:
        return wire.parse(commented(statement, self.comment), oids, self._client_encoding)

    def _execution(self, values: Sequence[Any]) -> bytes:
        bound = wire.bind(make_params(self.py_types, values), self._client_encoding)
        return bound + wire.DESCRIBE_PORTAL + wire.EXECUTE

    def _fly(self, in_front: Sequence[str], messages: bytes, contexts: list[Context]) -> None:
        """Send extended-protocol messages with what travels along; one Sync ends it all."""
        front = [Context(command) for command in in_front]
        self._owes_sync = contexts[-1].stream is not None
        rider = None if self._owes_sync else self._statement_rider(in_front)
        behind = [Context(rider.statement)] if rider else []
        end = wire.FLUSH if self._owes_sync else wire.SYNC
        follower = None if self._owes_sync else self._autocommit_rider()
        self.send(b"".join(map(wire.command, in_front)) + messages + _riding(rider) + end + _following(follower))
        self.read([*front, *contexts, *behind])
        self._read_quietly(follower)
        _raise_first([*front, *contexts, *behind])
        _deliver(rider, behind)

    def _fly_simple(self, in_front: Sequence[str], context: Context) -> None:
        """Send a Query, which may hold several statements; where something travels along, a Sync ends it all.

        Should what is in front fail, the server skips everything up to that Sync, and answers once instead of twice.
        """
        front = [Context(command) for command in in_front]
        rider = self._statement_rider(in_front)
        behind = [Context(rider.statement if rider else "")] if rider or front else []
        query = wire.query(commented(context.statement, self.comment), self._client_encoding)
        end = _riding(rider) + wire.SYNC if behind else b""
        follower = None if context.stream is not None else self._autocommit_rider()
        self.send(b"".join(map(wire.command, in_front)) + query + end + _following(follower))
        self.read([*front, context])
        if behind and not any(command.error for command in front):
            self.read(behind)
        self._read_quietly(follower)
        _raise_first([*front, context, *behind])
        _deliver(rider, behind)

    def _statement_rider(self, in_front: Sequence[str]) -> Rider | None:
        begins = bool(in_front) and not self.autocommit
        has_transaction = begins or (self._in_transaction and self._transaction_status != FAILED)
        return self.behind_statement() if has_transaction else None

    def _autocommit_rider(self) -> Rider | None:
        return self.behind_commit() if self.autocommit and self._transaction_status == IDLE else None

    # --- many parameter sets ---

    def run_many(self, statement: str, value_sets: Iterable[Sequence[Any]], oids: Sequence[int]) -> Context:
        """Run the statement for each set; all or nothing. The rows are the last set's, the row count that of all."""
        batches = self._batches(value_sets)
        first = list(islice(batches, 2))
        total = Context(statement)
        with self._one_transaction(several=len(first) > 1):
            for executions in chain(first, batches):
                self._run_batch(statement, oids, executions, total)
        return total

    def _batches(self, value_sets: Iterable[Sequence[Any]]) -> Iterator[list[bytes]]:
        """Encode the sets, a flight's worth at a time."""
        batch: list[bytes] = []
        size = 0
        for values in value_sets:
            batch.append(self._execution(values))
            size += len(batch[-1])
            if size >= BATCH_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _run_batch(self, statement: str, oids: Sequence[int], executions: list[bytes], total: Context) -> None:
        parse = self._parse(statement, oids)
        contexts = [Context(statement) for _ in executions]
        in_front = self._in_front(statement)
        self._fly(in_front, parse + b"".join(executions), contexts)
        if in_front:
            self._limited_by = self.deadline
        counts = [context.row_count for context in contexts]
        total.row_count = -1 if -1 in counts else max(total.row_count, 0) + sum(counts)
        total.rows, total.columns = contexts[-1].rows, contexts[-1].columns

    @contextmanager
    def _one_transaction(self, *, several: bool) -> Iterator[None]:
        """Make several flights one transaction where autocommit would make each its own."""
        if not (several and self.autocommit and self._transaction_status == IDLE):
            yield
            return
        self.autocommit = False
        try:
            yield
            self.commit()
        except BaseException:
            self.rollback()
            raise
        finally:
            self.autocommit = True

    # --- transactions ---

    def commit(self) -> None:
        """Commit in one flight, in none where no statement ran; raise where the server rolled back instead."""
        self.transport()
        if not self._in_transaction:
            return
        context, rider = Context("commit"), self.behind_commit()
        self.send(wire.query("commit") + _following(rider))
        self.read([context])
        self._read_quietly(rider)
        _raise_first([context])

    def _read_quietly(self, rider: Rider | None) -> None:
        """Read what rode behind a transaction, which has been answered: no failure here may hide that."""
        if rider is None:
            return
        context = Context(rider.statement)
        with suppress(DisconnectedError):
            self.read([context])
            if context.error is None:
                _deliver(rider, [context])

    def rollback(self) -> None:
        """Roll back in one flight, in none where no statement ran; has some of the reserve where the time is up."""
        if self._in_transaction:
            context = Context("rollback")
            self.send(wire.query("rollback"), self.with_reserve())
            self.read([context])
            _raise_first([context])


def _wants_to_be_alone(error: ServerError) -> bool:
    """Say whether the statement itself was refused (25001) for what went in front: then nothing was executed.

    The same from inside a procedure has a context, and what ran before it may have been committed.
    """
    return error.sqlstate == "25001" and "W" not in error.fields


def _is_several(error: ServerError) -> bool:
    """Say whether the text may be several statements (42601), which only a Query takes; nothing was executed then.

    In autocommit a statement without values goes by the extended protocol where something travels in front: a Query
    behind messages without a Sync is acknowledged by PostgreSQL 18 and not committed.
    """
    return error.sqlstate == "42601" and "W" not in error.fields


def _riding(rider: Rider | None) -> bytes:
    return wire.parse(rider.statement) + wire.BIND_NOTHING + wire.DESCRIBE_PORTAL + wire.EXECUTE if rider else b""


def _following(rider: Rider | None) -> bytes:
    """Return the rider with a Sync of its own: what happens to it is nobody else's business."""
    return _riding(rider) + wire.SYNC if rider else b""


def _raise_first(contexts: Iterable[Context]) -> None:
    for context in contexts:
        if context.error is not None:
            raise context.error


def _deliver(rider: Rider | None, contexts: Sequence[Context]) -> None:
    if rider:
        rows = contexts[0].rows
        rider.deliver(rows[0] if rows else None)


def connect(
    session: Session,
    *,
    deadline: Deadline,
    habits: Habits | None = None,
    reserve_s: float = DEFAULT_RESERVE_S,
) -> Connection:
    """Open a connection before `deadline`; `habits` is what was learnt from earlier ones, for fewer flights.

    Raise DisconnectedError where the server cannot be reached, and its own error where it does not let us in.
    """
    transport, said = open_session(session, deadline, habits or Habits())
    return Connection(transport, session.address, said, reserve_s)
