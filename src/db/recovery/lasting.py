"""A connection that survives the end of its session where nothing can have been committed by it.

- A flight that begins a transaction, or that only reads, is sent again on a new session when the old one dies under it.
  Behind a transaction's first flight its results have been seen: there only the whole work can be repeated.
- Whether a COMMIT whose answer was lost took effect is found out (db.recovery.resolving).

The new session takes the old one's place in the same object, so that cursors, pool and SQLAlchemy's transaction go on.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

from db.deadline import Deadline
from db.errors import CommitUnknownError, DeadlineExceededError, ReadOnlyError, SlotwiseError
from db.protocol.connection import Context
from db.protocol.opening import Opened
from db.protocol.riders import IDLE
from db.protocol.server_errors import ClosedError, DisconnectedError, NotLoggedInError, ServerError, TookTooLongError
from db.recovery.effects import asks_read_only, may_end_transaction, only_reads
from db.recovery.repeatable import READ_ONLY_SERVER, Flight, Verdict, verdict
from db.recovery.resolving import ResolvingConnection
from db.statements.residue import may_leave

Result = TypeVar("Result")

MAX_SESSIONS = 3
"""How many sessions a flight may need."""
OF_THE_SESSION = (
    *("_usock", "_sock", "_client_encoding", "parameter_statuses", "_backend_key_data", "_address"),
    *("_transaction_status", "_owes_sync", "time_limit", "logged_in_as", "abandons", "_login"),
    *("lease_s", "first_lease_s"),
)
"""The attributes that a new session brings; the others belong to the borrower."""


class LastingConnection(ResolvingConnection):
    """A connection whose session may be replaced by another one."""

    def __init__(self, opened: Opened, *, reserve_s: float, silence_s: float) -> None:
        """Take over what was opened."""
        super().__init__(opened, reserve_s=reserve_s, silence_s=silence_s)
        self.repeating: Callable[[Exception, Any], None] = _tell_nobody
        """Told why a flight is sent again, and whose session it was that failed."""
        self.abandons: Callable[[int], None] = _tell_nobody
        """Told the server process of a session that was lost without its saying so."""
        self.renewed_s = 0.0
        """How long new sessions have been waited for, ever."""
        self.wants_writes = False
        """Whether a standby will not do."""
        self.left_residue = False
        """Whether a statement of this borrow may have left something in the session."""
        self.has_committed = False
        """Whether something of this borrow may have been committed: its work must not be run again as a whole."""
        self.asked_read_only = False
        """Whether this borrow has asked for no writes, so that their refusal is its own error."""
        self._broke_off = False
        """Whether a transaction was lost, and nobody has rolled it back yet: what comes next is not another one."""

    def lend(self, deadline: Deadline, comment: str = "") -> None:
        """Begin a borrow that ends by `deadline`, and whose statements carry `comment`."""
        self.deadline = deadline
        self.comment = comment
        self.autocommit = self.left_residue = self.has_committed = self.asked_read_only = self._broke_off = False
        self.notices.clear()
        self.notifications.clear()

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
        fly, limit = super()._run, self.time_limit

        def send() -> Context:
            is_renewed = self.time_limit is not limit
            front = self._in_front(statement) if is_renewed and in_front else in_front
            return fly(front, statement, values, oids, stream)

        begins = bool(in_front) and not self.autocommit
        return self._lasting(send, statement, begins=begins, has_stream=stream is not None)

    def _run_batch(self, statement: str, oids: Sequence[int], executions: list[bytes], total: Context) -> None:
        fly = super()._run_batch
        send = partial(fly, statement, oids, executions, total)
        self._lasting(send, statement, begins=not self.autocommit)

    def _lasting(self, send: Callable[[], Result], statement: str, *, begins: bool, has_stream: bool = False) -> Result:
        """Return what `send` returns; send again on a new session where that is safe.

        A flight with a stream can carry no rider, so that what it writes is not known yet.
        """
        if self._broke_off:
            raise ClosedError("the transaction was lost with its connection: roll back first")
        known = None if self._transaction_status == IDLE else self.transaction_id
        had_residue, had_committed = self.left_residue, self.has_committed
        flight = self._about_to(statement, begins=begins, has_stream=has_stream)
        for left in reversed(range(MAX_SESSIONS)):
            try:
                if flight.was_idle:
                    self._require_open()
                self.has_committed |= flight.commits
                return send()
            except (ClosedError, DisconnectedError, ServerError) as error:
                found = verdict(error, flight)
                if found is Verdict.REPEAT:
                    self.has_committed = had_committed
                if found is Verdict.UNKNOWN:
                    self.has_committed = True
                    raise CommitUnknownError(known.number if known else None) from error
                if found is Verdict.RAISE or not left or self._is_irreplaceable(error, had_residue=had_residue):
                    raise
                self.repeating(error, self.logged_in_as)
            self._renew()
        raise AssertionError("the last attempt returns or raises")

    def _about_to(self, statement: str, *, begins: bool, has_stream: bool) -> Flight:
        """Take note of what the session is told, and return what that means."""
        was_idle = self._transaction_status == IDLE
        if was_idle:
            self.begin_anew()
        self.note(statement, unseen=has_stream)
        self.left_residue |= may_leave(statement)
        self.asked_read_only |= bool(self.modes.read_only) or asks_read_only(statement)
        return Flight(
            was_idle=was_idle,
            begins=begins,
            ends=may_end_transaction(statement),
            is_harmless=only_reads(statement),
            has_stream=has_stream,
            asked_read_only=self.asked_read_only,
        )

    def _require_open(self) -> None:
        """Raise ClosedError, and nothing has been sent, where the connection has ended meanwhile."""
        try:
            if self._login is None:
                self.require_alive()
        except DisconnectedError as error:
            raise ClosedError(str(error)) from error

    def _is_irreplaceable(self, error: Exception, *, had_residue: bool) -> bool:
        """Say whether no new session will do: there is none to be had, or this one held more than it would."""
        return self.reopen is None or (had_residue and not isinstance(error, NotLoggedInError))

    def _give_up(self) -> None:
        self._broke_off |= self._transaction_status != IDLE
        super()._give_up()

    def _lost(self, error: DisconnectedError, contexts: Sequence[Context]) -> DisconnectedError:
        key = self._backend_key_data or b""
        lost = super()._lost(error, contexts)
        if key and (not lost.fields or isinstance(lost, TookTooLongError)):
            self.abandons(int.from_bytes(key[:4], "big"))
        return lost

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
        self._broke_off = False

    # --- the transaction's end ---

    def is_final(self, error: SlotwiseError) -> bool:
        """Say whether the work must not be run again after `error`: something of it stays, or it has asked for this."""
        return self.has_committed or (self.asked_read_only and isinstance(error, ReadOnlyError))

    def hear_of_end(self, tag: bytes, context: Context) -> None:
        """Take note that a transaction has ended; see `db.recovery.resolving.ResolvingConnection.hear_of_end`."""
        super().hear_of_end(tag, context)
        self.has_committed |= may_end_transaction(context.statement)

    def commit(self) -> None:
        """Commit; see `db.recovery.resolving.ResolvingConnection.commit`."""
        super().commit()
        self.has_committed = True

    def rollback(self) -> None:
        """Roll back; where the session is gone, or no time is left to tell it, close: the server rolls back by itself.

        So it never fails, and never hides the error that led to it.
        """
        try:
            super().rollback()
        except (DisconnectedError, ServerError, DeadlineExceededError):
            self.close()
        self._broke_off = False


def _tell_nobody(*_what: object) -> None:
    """Keep it."""
