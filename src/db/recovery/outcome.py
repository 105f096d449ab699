"""Finds out what became of a transaction whose COMMIT was not answered. Knows nothing of connections.

https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT (pg_xact_status)
"""

import time
from collections.abc import Callable, Sequence
from enum import Enum, auto
from random import SystemRandom
from typing import Any

from db.deadline import Deadline
from db.errors import UnavailableError
from db.protocol.server_errors import ClosedError, DisconnectedError, ServerError

Rows = Sequence[Sequence[Any]] | None
Ask = Callable[[str], Rows]
"""Runs a statement on a session of its own."""

PAUSE_S = 0.05
"""Upper end of the wait before it is asked again."""
LAST_CALL_S = 0.5
"""When so little time is left, a session that is still committing is ended."""
NEVER_GIVEN = "22023"
"""The server says that the id is in the future: it took over without having seen the transaction."""

_draw = SystemRandom().random


class Outcome(Enum):
    """How a transaction ended."""

    COMMITTED = auto()
    ABORTED = auto()
    PENDING = auto()
    """It goes on: its session is still committing, or does not know yet that nobody listens."""


BY_STATUS = {"committed": Outcome.COMMITTED, "aborted": Outcome.ABORTED}


def await_outcome(transaction_id: int, ask: Ask, deadline: Deadline) -> Outcome:
    """Ask until it is known or the deadline has passed, which is PENDING.

    A session that has not got its COMMIT is ended, so that it never will; one that is committing is waited for, and
    ended shortly before the deadline.
    """
    while (left_s := deadline.remaining_s()) > 0:
        if (found := settled(transaction_id, ask, at_work=left_s < LAST_CALL_S)) is not Outcome.PENDING:
            return found
        time.sleep(min(_draw() * PAUSE_S, deadline.remaining_s()))
    return Outcome.PENDING


def settled(transaction_id: int, ask: Ask, *, at_work: bool) -> Outcome:
    """Return what became of it; end its session where that waits for a COMMIT, or is `at_work` and that is wanted."""
    for question in (status_of(transaction_id), ending(transaction_id, at_work=at_work), status_of(transaction_id)):
        if (found := _answer(ask, question)) is not Outcome.PENDING:
            return found
    return Outcome.PENDING


def _answer(ask: Ask, question: str) -> Outcome:
    try:
        return outcome_in(ask(question))
    except ServerError as error:
        return Outcome.ABORTED if error.sqlstate == NEVER_GIVEN else Outcome.PENDING
    except (ClosedError, DisconnectedError, UnavailableError):
        return Outcome.PENDING


def status_of(transaction_id: int) -> str:
    """Return the statement that asks what became of the transaction."""
    return f"select pg_xact_status('{transaction_id:d}')"


def ending(transaction_id: int, *, at_work: bool) -> str:
    """Return the statement that ends the transaction's session, one that is at work only if `at_work`.

    It has no row where there is no such session.
    """
    its_own = f"backend_xid = '{transaction_id:d}'::xid8::xid and ({at_work} or state <> 'active')"
    return f"select pg_terminate_backend(pid)::text from pg_stat_activity where {its_own}"  # noqa: S608 - a number


def outcome_in(rows: Rows) -> Outcome:
    """Return what the answer says; a transaction that is going on, and no answer, is PENDING."""
    return BY_STATUS.get(rows[0][0], Outcome.PENDING) if rows else Outcome.PENDING
