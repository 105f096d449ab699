"""Statements, each in one flight with what travels along: BEGIN and the time limit in front, riders behind.

Knows nothing of how a transaction ends.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from db.deadline import Deadline
from db.protocol import wire
from db.protocol.flights import Flights
from db.protocol.opening import Opened
from db.protocol.replies import Context
from db.protocol.riders import FAILED, IDLE, NextRider, Rider, TransactionModes, may_commit, nobody
from db.protocol.server_errors import DisconnectedError, ServerError
from db.protocol.time_limit import TimeLimit
from db.statements.comment import commented


class Statements(Flights):
    """A session that runs statements."""

    def __init__(self, opened: Opened, reserve_s: float) -> None:
        """Take over what was opened."""
        super().__init__(opened, reserve_s)
        self.modes = TransactionModes()
        self.behind_statement: NextRider = nobody
        self.behind_commit: NextRider = nobody
        self.with_begin: Sequence[str] = ()
        """Commands that travel behind each BEGIN."""
        self.comment = ""
        """Sent behind each statement, past every cache that goes by its text."""
        self.logged_in_as: Any = None
        """Whose session this is; set by who opened it."""
        self.lease_s = self.first_lease_s = 0.0
        """For how long the server lets the session idle now, and from its beginning; 0 where nobody has told it."""
        self.time_limit = TimeLimit()

    def run_one(
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
        return self._run(self._limit_alone(self.deadline), statement, values, oids, stream)

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
        """Return the commands that travel in front of the statement."""
        if self._transaction_status == FAILED:
            return []
        if self._transaction_status != IDLE:
            return self.time_limit.in_transaction(self.deadline)
        if not self.autocommit:
            return [self.modes.begin(), *self.time_limit.in_front_of_transaction(self.deadline), *self.with_begin]
        limit = self._limit_alone if may_commit(statement) else self.time_limit.in_front_of_statement
        return [*self.modes.outside(), *limit(self.deadline)]

    def _limit_alone(self, deadline: Deadline) -> list[str]:
        """Limit, in a flight of its own where one is needed, a statement in front of which nothing may travel."""
        if self.time_limit.is_kept:
            for command in self.time_limit.in_front_of_statement(deadline):
                self.execute_simple(command)
                self.time_limit.committed()
        return []

    def _run(
        self,
        in_front: Sequence[str],
        statement: str,
        values: Sequence[Any] | None,
        oids: Sequence[int],
        stream: Any,  # noqa: ANN401 - any kind of stream that pg8000 takes
    ) -> Context:
        context = Context(statement, stream=stream)
        alone = self.is_transaction(in_front)
        if values is None and not alone:
            self._fly_simple(in_front, context)
        else:
            messages = self._parse(statement, oids) + self._execution(values or ())
            self._fly(in_front, messages, [context])
        self.arrived(in_front, context, alone=alone)
        return context

    def is_transaction(self, in_front: Sequence[str]) -> bool:
        """Say whether the statement and what is in front of it are a transaction of their own."""
        return bool(in_front) and self.autocommit and self._transaction_status == IDLE

    def arrived(self, in_front: Sequence[str], context: Context, *, alone: bool) -> None:
        """Take note that a flight went well, and what the server knows by what was in front.

        Where the statement's own text ended a transaction, or went back to a savepoint, that is nothing.
        """
        if in_front:
            self.time_limit.limits(self.deadline)
        if context.rolled_back:
            self.time_limit.settle()
        elif alone and self._transaction_status == IDLE:
            self.time_limit.committed()

    def discard_all(self) -> None:
        """Give the session back all that it began with: https://www.postgresql.org/docs/current/sql-discard.html."""
        self.execute_simple("DISCARD ALL")
        self.lease_s = self.first_lease_s
        self.time_limit.reset()

    def _parse(self, statement: str, oids: Sequence[int]) -> bytes:
        return wire.parse(commented(statement, self.comment), oids, self._client_encoding)

    def _execution(self, values: Sequence[Any]) -> bytes:
        bound = wire.bind(self.as_text(values), self._client_encoding)
        return bound + wire.DESCRIBE_PORTAL + wire.EXECUTE

    def _fly(self, in_front: Sequence[str], messages: bytes, contexts: list[Context]) -> None:
        """Send extended-protocol messages with what travels along; one Sync ends it all."""
        front = [Context(command) for command in in_front]
        self._owes_sync = contexts[-1].stream is not None
        rider = None if self._owes_sync else self._statement_rider(in_front)
        behind = [Context(rider.statement)] if rider else []
        end = wire.FLUSH if self._owes_sync else wire.SYNC
        follower = None if self._owes_sync else self._autocommit_rider()
        self.send(b"".join(map(wire.command, in_front)) + messages + riding(rider) + end + following(follower))
        self.read([*front, *contexts, *behind])
        self.read_quietly(follower)
        raise_first([*front, *contexts, *behind])
        deliver(rider, behind)

    def _fly_simple(self, in_front: Sequence[str], context: Context) -> None:
        """Send a Query, which may hold several statements; where something travels along, a Sync ends it all.

        Should what is in front fail, the server skips everything up to that Sync, and answers once instead of twice.
        """
        front = [Context(command) for command in in_front]
        rider = self._statement_rider(in_front)
        behind = [Context(rider.statement if rider else "")] if rider or front else []
        query = wire.query(commented(context.statement, self.comment), self._client_encoding)
        end = riding(rider) + wire.SYNC if behind else b""
        follower = None if context.stream is not None else self._autocommit_rider()
        self.send(b"".join(map(wire.command, in_front)) + query + end + following(follower))
        self.read([*front, context])
        if behind and not any(command.error for command in front):
            self.read(behind)
        self.read_quietly(follower)
        raise_first([*front, context, *behind])
        deliver(rider, behind)

    def _statement_rider(self, in_front: Sequence[str]) -> Rider | None:
        begins = bool(in_front) and not self.autocommit
        has_transaction = begins or (self._in_transaction and self._transaction_status != FAILED)
        return self.behind_statement() if has_transaction else None

    def _autocommit_rider(self) -> Rider | None:
        return self.behind_commit() if self.autocommit and self._transaction_status == IDLE else None

    def read_quietly(self, rider: Rider | None) -> None:
        """Read what rode behind a transaction, which has been answered: no failure here may hide that."""
        if rider is None:
            return
        context = Context(rider.statement)
        with suppress(DisconnectedError):
            self.read([context])
            if context.error is None:
                deliver(rider, [context])


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


def riding(rider: Rider | None) -> bytes:
    """Return the rider as the last statement of a flight."""
    return wire.parse(rider.statement) + wire.BIND_NOTHING + wire.DESCRIBE_PORTAL + wire.EXECUTE if rider else b""


def following(rider: Rider | None) -> bytes:
    """Return the rider with a Sync of its own: what happens to it is nobody else's business."""
    return riding(rider) + wire.SYNC if rider else b""


def raise_first(contexts: Iterable[Context]) -> None:
    """Raise the first error of a flight that has been read."""
    for context in contexts:
        if context.error is not None:
            raise context.error


def deliver(rider: Rider | None, contexts: Sequence[Context]) -> None:
    """Give the rider its first row."""
    if rider:
        rows = contexts[0].rows
        rider.deliver(rows[0] if rows else None)
