"""A connection that survives the end of its session where nothing can have been committed by it.

- A flight that begins a transaction, or that only reads, is sent again on a new session when the old one dies under it.
  Behind a transaction's first flight its results have been seen: there only the whole work can be repeated.
- The transaction's id rides behind each statement that may write, until it is known. When the answer to COMMIT is
  lost, a new session is asked what became of it.

The new session takes the old one's place in the same object, so that cursors, pool and SQLAlchemy's transaction go on.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, Self, TypeVar

from db.deadline import Deadline
from db.errors import CommitUnknownError
from db.protocol.connection import Context
from db.protocol.opening import Opened
from db.protocol.riders import IDLE, IN_TRANSACTION, Rider
from db.protocol.server_errors import ClosedError, DisconnectedError, NotLoggedInError, ServerError, TookTooLongError
from db.recovery.outcome import Ask, Outcome, Rows, await_outcome, settled
from db.recovery.repeatable import READ_ONLY_SERVER, Verdict, only_reads, verdict
from db.recovery.silence import AttentiveConnection
from db.statements.residue import may_leave

Result = TypeVar("Result")

TRANSACTION_ID = "select pg_current_xact_id_if_assigned()"
"""NULL in a transaction that has written nothing; asking does not assign one."""
MAX_SESSIONS = 3
"""How many sessions a flight may need."""
OF_THE_SESSION = (
    *("_usock", "_sock", "_client_encoding", "parameter_statuses", "_backend_key_data", "_address"),
    *("_transaction_status", "_owes_sync", "time_limit", "login_version", "abandons", "_login"),
)
"""The attributes that a new session brings; the others belong to the borrower."""


class LastingConnection(AttentiveConnection):
    """A connection whose session may be replaced by another one."""

    def __init__(self, opened: Opened, *, reserve_s: float, silence_s: float) -> None:
        """Take over what was opened."""
        super().__init__(opened, reserve_s=reserve_s, silence_s=silence_s)
        self.reopen: Callable[[], LastingConnection] | None = None
        """Opens the session that takes this one's place; None: it ends as any connection does."""
        self.repeating: Callable[[Exception], None] = _tell_nobody
        """Told why a flight is sent again."""
        self.abandons: Callable[[int], None] = _tell_nobody
        """Told the server process of a session that was lost without its saying so."""
        self.renewed_s = 0.0
        """How long new sessions have been waited for, ever."""
        self.wants_writes = False
        """Whether a standby will not do."""
        self.behind_statement = self._ask_for_id
        self.left_residue = False
        """Whether a statement of this borrow may have left something in the session."""
        self._transaction_id: int | None = None
        self._only_reads = True
        self._wrote_unseen = False

    def lend(self, deadline: Deadline, comment: str = "") -> None:
        """Begin a borrow that ends by `deadline`, and whose statements carry `comment`."""
        self.deadline = deadline
        self.comment = comment
        self.autocommit = self.left_residue = False

    @property
    def is_unwanted(self) -> bool:
        """Whether the server has said at login that it is a standby (PostgreSQL 14 and later), and that will not do."""
        return self.wants_writes and self.parameter_statuses.get("in_hot_standby") == "on"

    def finish_login(self) -> None:
        """End the login where that was left to the first flight; see `db.protocol.flights.Flights.finish_login`."""
        super().finish_login()
        if self.is_unwanted:
            raise NotLoggedInError({"S": "FATAL", "C": READ_ONLY_SERVER, "M": "the server is a standby"})

    # --- a flight that may be sent again ---

    def _run(
        self,
        in_front: Sequence[str],
        statement: str,
        values: Sequence[Any] | None,
        oids: Sequence[int],
        stream: Any,  # noqa: ANN401 - any kind of stream that pg8000 takes
    ) -> Context:
        fly = super()._run
        self.left_residue |= may_leave(statement)
        begins = bool(in_front) and not self.autocommit
        return self._lasting(
            lambda: fly(in_front, statement, values, oids, stream),
            begins=begins and stream is None,
            reads=only_reads(statement),
            unseen=stream is not None,
        )

    def _run_batch(self, statement: str, oids: Sequence[int], executions: list[bytes], total: Context) -> None:
        fly = super()._run_batch
        self._lasting(lambda: fly(statement, oids, executions, total), begins=not self.autocommit, reads=False)

    def _lasting(self, fly: Callable[[], Result], *, begins: bool, reads: bool, unseen: bool = False) -> Result:
        """Return what `fly` returns; send it again on a new session where that is safe.

        `unseen`: a flight that can carry no rider, so that what it writes is not known yet.
        """
        was_idle = self._transaction_status == IDLE
        if was_idle:
            self._transaction_id, self._only_reads, self._wrote_unseen = None, True, False
        self._only_reads &= reads
        self._wrote_unseen |= unseen
        for left in reversed(range(MAX_SESSIONS)):
            try:
                return fly()
            except (ClosedError, DisconnectedError, ServerError) as error:
                asked = bool(self.modes.read_only)
                found = verdict(error, was_idle=was_idle, begins=begins, reads=reads, asked_read_only=asked)
                self._refuse_to_repeat(error, Verdict.RAISE if found is Verdict.REPEAT and not left else found)
                self.repeating(error)
            self._renew()
        raise AssertionError("the last attempt returns or raises")

    def _lost(self, error: DisconnectedError, contexts: Sequence[Context]) -> DisconnectedError:
        key = self._backend_key_data or b""
        lost = super()._lost(error, contexts)
        if key and (not lost.fields or isinstance(lost, TookTooLongError)):
            self.abandons(int.from_bytes(key[:4], "big"))
        return lost

    def _refuse_to_repeat(self, error: Exception, found: Verdict) -> None:
        """Raise, where the flight must not be sent again or the session held more than a new one has."""
        if found is Verdict.UNKNOWN:
            raise CommitUnknownError(None) from error
        had_something = self.left_residue and not isinstance(error, NotLoggedInError)
        if found is Verdict.RAISE or had_something or self.reopen is None:
            raise error

    def _renew(self) -> None:
        """Let a new session take the old one's place; raise UnavailableError where there is none to be had."""
        self.close()
        if self.reopen is None:
            raise ClosedError("connection is closed")
        began = time.monotonic()
        fresh = self.reopen()
        self.renewed_s += time.monotonic() - began
        for name in OF_THE_SESSION:
            setattr(self, name, getattr(fresh, name))

    # --- COMMIT ---

    def _ask_for_id(self) -> Rider | None:
        if self._only_reads or self._transaction_id is not None or self.modes.read_only:
            return None
        return Rider(TRANSACTION_ID, self._learn_id)

    def _learn_id(self, row: Sequence[Any] | None) -> None:
        self._transaction_id = int(row[0]) if row and row[0] is not None else None

    def commit(self) -> None:
        """Commit; where the answer is lost, find out what became of it.

        Raise CommitUnknownError where the server cannot be asked before the deadline.
        """
        if self._transaction_status != IN_TRANSACTION:
            super().commit()
            return
        if self._wrote_unseen and self._transaction_id is None:
            self._learn_id((super()._run([], TRANSACTION_ID, (), (), None).rows or [None])[0])
        with Asker(self.reopen) as asker:
            self.on_silence = lambda: self._require_commit_goes_on(asker.ask)
            try:
                super().commit()
            except DisconnectedError as error:
                self._settle(error, asker.ask)
            finally:
                self.on_silence = None

    def _require_commit_goes_on(self, ask: Ask) -> None:
        """Raise, where COMMIT will not be answered any more: it has ended, or never begun."""
        known = self._transaction_id is None or settled(self._transaction_id, ask, at_work=False)
        if known is not Outcome.PENDING:
            raise DisconnectedError("COMMIT was not answered")

    def _settle(self, error: DisconnectedError, ask: Ask) -> None:
        """Return where the transaction was committed, or had written nothing; raise otherwise."""
        if self._transaction_id is None:
            return
        outcome = await_outcome(self._transaction_id, ask, self.deadline)
        if outcome is Outcome.ABORTED:
            raise error
        if outcome is Outcome.PENDING:
            raise CommitUnknownError(self._transaction_id) from error


def _tell_nobody(_what: object) -> None:
    """Keep it."""


class Asker:
    """Asks from a session of its own, which is opened when it is needed and closed at the end."""

    def __init__(self, reopen: Callable[[], LastingConnection] | None) -> None:
        self._reopen = reopen
        self._session: LastingConnection | None = None

    def __enter__(self) -> Self:
        """Open nothing yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close what was opened."""
        if self._session:
            self._session.close()

    def ask(self, question: str) -> Rows:
        """Return the answer's rows; raise UnavailableError where there is no session to be had."""
        if self._session is None or not self._session.is_alive():
            if self._reopen is None:
                raise ClosedError("there is no way to open another connection")
            self._session = self._reopen()
        rows: Rows = self._session.execute_simple(question).rows
        return rows
