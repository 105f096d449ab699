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
from db.server_errors import ClosedError, DisconnectedError, ServerError

Rows = Sequence[Sequence[Any]] | None

PAUSE_S = 0.05
"""Upper end of the wait before it is asked again."""

_draw = SystemRandom().random


class Outcome(Enum):
    """How a transaction ended."""

    COMMITTED = auto()
    ABORTED = auto()
    PENDING = auto()
    """Its session does not know yet that nobody listens."""


NEVER_GIVEN = "22023"
"""The server says that the id is in the future: it took over without having seen the transaction."""

BY_STATUS = {"committed": Outcome.COMMITTED, "aborted": Outcome.ABORTED}


def await_outcome(transaction_id: int, ask: Callable[[str], Rows], deadline: Deadline) -> Outcome:
    """Ask until it is known or the deadline has passed, which is PENDING; end its session should that live on."""
    while deadline.remaining_s() > 0:
        for question in (status_of(transaction_id), status_after_ending(transaction_id)):
            if (found := _answer(ask, question)) is not Outcome.PENDING:
                return found
        time.sleep(min(_draw() * PAUSE_S, deadline.remaining_s()))
    return Outcome.PENDING


def _answer(ask: Callable[[str], Rows], question: str) -> Outcome:
    try:
        return outcome_in(ask(question))
    except ServerError as error:
        return Outcome.ABORTED if error.sqlstate == NEVER_GIVEN else Outcome.PENDING
    except (ClosedError, DisconnectedError, UnavailableError):
        return Outcome.PENDING


def status_of(transaction_id: int) -> str:
    """Return the statement that asks what became of the transaction."""
    return f"select pg_xact_status('{transaction_id:d}')"


def status_after_ending(transaction_id: int) -> str:
    """Return the statement that ends the transaction's session, should there still be one."""
    session = f"(select pid from pg_stat_activity where backend_xid = '{transaction_id:d}'::xid8::xid)"  # noqa: S608 - a number
    return f"select pg_xact_status('{transaction_id:d}'), pg_terminate_backend(pid) from {session} as its_own"  # noqa: S608 - a number


def outcome_in(rows: Rows) -> Outcome:
    """Return what the answer says; a transaction that is going on, and no answer, is PENDING."""
    return BY_STATUS.get(rows[0][0], Outcome.PENDING) if rows else Outcome.PENDING
