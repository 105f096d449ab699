"""A connection whose COMMIT is not left in doubt while a server can be asked.

The transaction's id rides behind each statement that may write, until it is known. When the answer to COMMIT is lost,
a new session is asked what became of it.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from db.deadline import Deadline
from db.errors import CommitUnknownError
from db.protocol.opening import Opened
from db.protocol.replies import Context
from db.protocol.riders import IN_TRANSACTION, Rider
from db.protocol.server_errors import DisconnectedError
from db.recovery.asker import Asker
from db.recovery.effects import goes_back, may_act_late, only_reads
from db.recovery.outcome import OPEN, Ask, Outcome, await_outcome, settled
from db.recovery.silence import SHORTEST_PATIENCE_S, AttentiveConnection
from db.recovery.transaction_id import ASSIGNED, IF_ASSIGNED, TransactionId

RESERVE_SHARE = 0.75
"""How much of the reserve may go by until it is known that a COMMIT's outcome is not to be known."""


class ResolvingConnection(AttentiveConnection):
    """A connection that knows, or finds out, what became of its transaction."""

    def __init__(self, opened: Opened, *, reserve_s: float, silence_s: float) -> None:
        """Take over what was opened."""
        super().__init__(opened, reserve_s=reserve_s, silence_s=silence_s)
        self.reopen: Callable[[], ResolvingConnection] | None = None
        """Opens another session: to ask, and to go on; None: there is none to be had."""
        self.behind_statement = self._ask_for_id
        self.transaction_id: TransactionId | None = None
        """The open transaction's, where it has written and that is known."""
        self._only_reads, self._acts_late, self._wrote_unseen = True, False, False

    def begin_anew(self) -> None:
        """Know nothing of a transaction."""
        self.transaction_id, self._only_reads, self._acts_late, self._wrote_unseen = None, True, False, False

    def note(self, statement: str, *, unseen: bool) -> None:
        """Take note of what the transaction is about to do; `unseen`: in a flight that can carry no rider."""
        self._only_reads &= only_reads(statement)
        self._acts_late |= may_act_late(statement)
        self._wrote_unseen |= unseen

    def hear_of_end(self, tag: bytes, context: Context) -> None:
        """Know nothing more of what has ended, but that the same text may have begun another transaction."""
        super().hear_of_end(tag, context)
        if not goes_back(context.statement):
            self.begin_anew()
            self.note(context.statement, unseen=True)

    def _ask_for_id(self) -> Rider | None:
        if self._only_reads or self.transaction_id is not None or (self.modes.read_only and not self._acts_late):
            return None
        return Rider(self._question(), self._learn_id)

    def _question(self) -> str:
        return ASSIGNED if self._acts_late else IF_ASSIGNED

    def _learn_id(self, row: Sequence[Any] | None) -> None:
        self.transaction_id = TransactionId.from_row(row)

    def commit(self) -> None:
        """Commit; where the answer is lost, find out what became of it.

        Raise CommitUnknownError where no server can say that before the deadline.
        """
        if self._transaction_status != IN_TRANSACTION:
            super().commit()
            return
        if self._wrote_unseen and self.transaction_id is None:
            self._learn_id((super()._run([], self._question(), (), (), None).rows or [None])[0])
        self.require_alive()  # where COMMIT has not been sent, nobody need be asked
        with Asker(self.reopen, self._last_call()) as asker:
            self.on_silence = lambda: self._require_commit_goes_on(asker.ask)
            try:
                super().commit()
            except DisconnectedError as error:
                self._settle(error, asker.ask)
            finally:
                self.on_silence = None

    def _last_call(self) -> Deadline:
        return Deadline(self.deadline.expires_at + self._reserve_s * RESERVE_SHARE, self.deadline.clock)

    def _require_commit_goes_on(self, ask: Ask) -> float:
        """Return after how many seconds at most to ask again; raise, where COMMIT has ended, or never begun."""
        found = settled(self.transaction_id, ask, at_work=False) if self.transaction_id else Outcome.ABORTED
        if found not in OPEN:
            raise DisconnectedError("COMMIT was not answered")
        return SHORTEST_PATIENCE_S if found is Outcome.ENDING else math.inf

    def _settle(self, error: DisconnectedError, ask: Ask) -> None:
        """Return where the transaction was committed, or had written nothing; raise otherwise."""
        if self.transaction_id is None:
            return
        outcome = await_outcome(self.transaction_id, ask, self.deadline)
        if outcome is Outcome.ABORTED:
            raise error
        if outcome is not Outcome.COMMITTED:
            raise CommitUnknownError(self.transaction_id.number) from error
