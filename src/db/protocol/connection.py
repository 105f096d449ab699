"""The connection that wastes no flight: transactions, and many parameter sets at once.

A *flight* is what is sent at once before the server is waited for. BEGIN and the time limit travel in front of a
transaction's first statement, and one Sync ends them together, so that a BEGIN that fails stops what is behind it;
COMMIT is a flight; a transaction without statements costs none. Every flight ends by `connection.deadline`.

Riders are small statements that others let travel along, at no flight (see db.protocol.riders.Rider):

- `connection.behind_statement` is asked at each flight of a transaction. The rider is the flight's last statement, in
  the same transaction: should it fail, so does the transaction.
- `connection.behind_commit` is asked at each COMMIT, and at each statement that autocommit makes a transaction. The
  rider is a transaction of its own behind that one, and nobody is told should it fail.

Flow: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any

from db.deadline import Deadline
from db.protocol import wire
from db.protocol.cursor import Cursor
from db.protocol.named import Named
from db.protocol.opening import ConnectOptions, Habits, open_session
from db.protocol.replies import Context
from db.protocol.riders import IDLE, Rider
from db.protocol.server_errors import is_broken, sqlstate_behind, sqlstate_of
from db.protocol.statements import following, raise_first

__all__ = [
    "CHECKED_WITH",
    "ConnectOptions",
    "Connection",
    "Context",
    "Habits",
    "Rider",
    "connect",
    "is_broken",
    "sqlstate_behind",
    "sqlstate_of",
]

CHECKED_WITH = ("1.31.6",)
"""The versions of pg8000 that this package was checked with."""

DEFAULT_RESERVE_S = 0.5
BATCH_BYTES = 1 << 18
"""How much of many parameter sets is sent in one flight."""


class Connection(Named):
    """One session with one server."""

    def cursor(self) -> Cursor:
        """Return a new cursor."""
        return Cursor(self)

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
        alone = self.is_transaction(in_front)
        self._fly(in_front, parse + b"".join(executions), contexts)
        self.arrived(in_front, contexts[-1], alone=alone)
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
        self.send(wire.query("commit") + following(rider))
        self.read([context])
        self.read_quietly(rider)
        raise_first([context])
        self.time_limit.committed()

    def rollback(self) -> None:
        """Roll back in one flight, in none where no statement ran; has some of the reserve where the time is up."""
        if self._in_transaction:
            context = Context("rollback")
            self.send(wire.query("rollback"), self.with_reserve())
            self.read([context])
            raise_first([context])
            self.time_limit.rolled_back()


def connect(
    options: ConnectOptions,
    *,
    deadline: Deadline,
    habits: Habits | None = None,
    reserve_s: float = DEFAULT_RESERVE_S,
) -> Connection:
    """Open a connection before `deadline`; `habits` is what was learnt from earlier ones, for fewer flights.

    Raise DisconnectedError where the server cannot be reached, and its own error where it does not let us in.
    """
    return Connection(open_session(options, deadline, habits or Habits()), reserve_s)
