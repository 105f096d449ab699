"""Finds out what became of a transaction whose COMMIT was not answered. Knows nothing of connections.

`aborted` is believed of any server that takes writes, since the id of a commit that was kept is never given again;
`committed` only where the id cannot have been given again (see db.recovery.transaction_id).
https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT (pg_xact_status)
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum, auto
from random import SystemRandom
from typing import Any

from db.deadline import Deadline
from db.errors import UnavailableError
from db.protocol.server_errors import ClosedError, DisconnectedError, ServerError
from db.recovery.transaction_id import RUN, TransactionId

Rows = Sequence[Sequence[Any]] | None
Ask = Callable[[str], Rows]
"""Runs a statement on a session of its own."""

PAUSE_S = 0.05
"""Upper end of the wait before it is asked again."""
LAST_CALL_S = 0.5
"""When so little time is left, a session that is still committing is ended."""
TOLD = ["true"]
"""The server's row for a session that it has told to end, which takes as long as that session needs to hear of it."""
NEVER_GIVEN = "22023"
"""The server says that the id is in the future: it took over without having seen the transaction."""
NEVER_RECOVERED = "select pg_last_wal_replay_lsn() is null"
"""True of a server that was stopped and started, false of one that crashed, or was a standby."""

_draw = SystemRandom().random


class Outcome(Enum):
    """How a transaction ended."""

    COMMITTED = auto()
    ABORTED = auto()
    PENDING = auto()
    """It goes on: its session is still committing, or does not know yet that nobody listens."""
    ENDING = auto()
    """Its session was told to end, and has not got to it yet."""
    FORGOTTEN = auto()
    """A transaction with its id was committed, on a server that has crashed or taken over since: maybe another one."""


OPEN = frozenset({Outcome.PENDING, Outcome.ENDING})
BY_STATUS = {"committed": Outcome.COMMITTED, "aborted": Outcome.ABORTED}


def await_outcome(transaction: TransactionId, ask: Ask, deadline: Deadline) -> Outcome:
    """Ask until it is known, or once more when the deadline has passed, which may leave it open.

    A session that has not got its COMMIT is ended, so that it never will; one that is committing is waited for, and
    ended shortly before the deadline.
    """
    while True:
        left_s = deadline.remaining_s()
        found = settled(transaction, ask, at_work=left_s < LAST_CALL_S)
        if found not in OPEN or not left_s:
            return found
        time.sleep(min(_draw() * PAUSE_S, deadline.remaining_s()))


def settled(transaction: TransactionId, ask: Ask, *, at_work: bool) -> Outcome:
    """Return what became of it; end its session where that waits for a COMMIT, or is `at_work` and that is wanted."""
    if (found := _answer(transaction, ask)) is not Outcome.PENDING:
        return found
    was_told = _told_to_end(transaction, ask, at_work=at_work)
    found = _answer(transaction, ask)
    return Outcome.ENDING if was_told and found is Outcome.PENDING else found


def _told_to_end(transaction: TransactionId, ask: Ask, *, at_work: bool) -> bool:
    with suppress(ServerError, ClosedError, DisconnectedError, UnavailableError):
        return TOLD in (ask(ending(transaction, at_work=at_work)) or ())
    return False


def _answer(transaction: TransactionId, ask: Ask) -> Outcome:
    try:
        rows = ask(status_of(transaction))
        return _believed(transaction, rows[0], ask) if rows else Outcome.PENDING
    except ServerError as error:
        return Outcome.ABORTED if error.sqlstate == NEVER_GIVEN else Outcome.PENDING
    except (ClosedError, DisconnectedError, UnavailableError):
        return Outcome.PENDING


def _believed(transaction: TransactionId, row: Sequence[Any], ask: Ask) -> Outcome:
    """Return what the answer says, as far as it must be about this transaction."""
    status, server_start, statistics_since = row
    found = BY_STATUS.get(status, Outcome.PENDING)
    if found is not Outcome.COMMITTED:
        return found
    kept = transaction.is_kept_by(statistics_since)
    if kept and server_start != transaction.server_start:  # a standby may be its primary's copy, statistics and all
        rows = ask(NEVER_RECOVERED)
        kept = bool(rows and rows[0][0])
    return Outcome.COMMITTED if kept else Outcome.FORGOTTEN


def status_of(transaction: TransactionId) -> str:
    """Return the statement that asks what became of the transaction; a standby may not have heard of its end."""
    return f"select case when not pg_is_in_recovery() then pg_xact_status('{transaction.number:d}') end, {RUN}"


def ending(transaction: TransactionId, *, at_work: bool) -> str:
    """Return the statement that ends the transaction's session, one that is at work only if `at_work`.

    It has no row where there is no such session; who has been given the id on another server is spared.
    """
    its_own = f"backend_xid = '{transaction.number:d}'::xid8::xid and ({at_work} or state <> 'active')"
    condition = f"{its_own} and {transaction.of_its_server()}"
    return f"select pg_terminate_backend(pid)::text from pg_stat_activity where {condition}"  # noqa: S608 - numbers
