"""A connection that tells of the statements that take longer than they may."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from db.deadline import Deadline
from db.observation import SlowStatement
from db.protocol.connection import Context
from db.protocol.opening import ConnectOptions, Habits, open_session
from db.protocol.server_errors import sqlstate_of
from db.recovery.lasting import LastingConnection


class WatchedConnection(LastingConnection):
    """Times each statement, the ones that fail included; without what it takes to have a new session for it."""

    slow_ms: float = 0
    """From how many milliseconds on a statement is slow; 0: none is."""
    tell_slow: Callable[[SlowStatement], None]

    def run_one(
        self,
        statement: str,
        values: Sequence[Any] | None,
        oids: Sequence[int] = (),
        stream: Any = None,  # noqa: ANN401 - any kind of stream that pg8000 takes
    ) -> Context:
        """Run what a cursor was asked to; see `db.protocol.statements.Statements.run_one`."""
        run_one = super().run_one
        return self._timed(statement, lambda: run_one(statement, values, oids, stream))

    def run_many(self, statement: str, value_sets: Iterable[Sequence[Any]], oids: Sequence[int]) -> Context:
        """Run the statement for each set; see `db.protocol.connection.Connection.run_many`."""
        run_many = super().run_many
        return self._timed(statement, lambda: run_many(statement, value_sets, oids))

    def run_untimed(self, statement: str) -> Context:
        """Run a statement of our own."""
        return super().run_one(statement, None)

    def _timed(self, statement: str, run: Callable[[], Context]) -> Context:
        if not self.slow_ms:
            return run()
        began = time.monotonic() - self.renewed_s
        try:
            context = run()
        except Exception as error:
            self._ended(statement, began, failure=sqlstate_of(error))
            raise
        self._ended(statement, began, rows=context.row_count)
        return context

    def _ended(self, statement: str, began: float, rows: int = -1, failure: str | None = None) -> None:
        took_ms = (time.monotonic() - self.renewed_s - began) * 1000
        if took_ms >= self.slow_ms:
            found = None if rows < 0 else rows
            self.tell_slow(SlowStatement(statement=statement, duration_ms=took_ms, rows=found, failure=failure))


def connect(
    options: ConnectOptions,
    *,
    deadline: Deadline,
    habits: Habits,
    reserve_s: float,
    silence_s: float,
    joins: bool = False,
) -> WatchedConnection:
    """Open a connection before `deadline`; see `db.protocol.connection.connect`.

    `joins`: where the server is known to take it, the login ends in the first flight, and may be refused there.
    """
    opened = open_session(options, deadline, habits, joins=joins)
    return WatchedConnection(opened, reserve_s=reserve_s, silence_s=silence_s)
