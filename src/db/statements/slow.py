"""Notices statements that take longer than they may, and asks for their plan: its shape, without running them.

https://docs.sqlalchemy.org/en/21/core/events.html#sqlalchemy.events.ConnectionEvents
"""

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPICursor, ExceptionContext

from db.checkin import RESIDUE
from db.observation import Pin, SlowStatement
from db.protocol.connection import sqlstate_of
from db.protocol.cursor import positional
from db.statements.pinning import pinned_by

GENERIC_PLAN_SINCE = (16,)
HAS_A_PLAN = re.compile(r"\s*(?:select|insert|update|delete|merge|with|values)\b", re.IGNORECASE)


class _Watch(threading.local):
    """When this thread's statement began."""

    began: float | None = None


def watch(engine: Engine, limit_ms: float, tell: Callable[[SlowStatement], None]) -> None:
    """Tell of each statement of `engine` that takes at least `limit_ms`, the ones that fail included."""
    now = _Watch()

    def began(*_: object) -> None:
        now.began = time.monotonic()

    def ended(_connection: Connection, cursor: DBAPICursor, statement: str, *_: object) -> None:
        note(statement, rows=cursor.rowcount)

    def failed(error: ExceptionContext) -> None:
        if error.statement is not None:
            note(error.statement, failure=sqlstate_of(error.original_exception))

    def note(statement: str, rows: int = -1, failure: str | None = None) -> None:
        took_ms = (time.monotonic() - now.began) * 1000 if now.began is not None else 0.0
        now.began = None
        if took_ms >= limit_ms:
            found = None if rows < 0 else rows
            tell(SlowStatement(statement=statement, duration_ms=took_ms, rows=found, failure=failure))

    event.listen(engine, "before_cursor_execute", began)
    event.listen(engine, "after_cursor_execute", ended)
    event.listen(engine, "handle_error", failed)


def warn_of_pins(engine: Engine, tell: Callable[[Pin], None]) -> None:
    """Tell of each statement of `engine` that ties the client to one session of the pooler; once for each statement."""
    told: set[str] = set()

    def look(_connection: Connection, _cursor: DBAPICursor, statement: str, *_: object) -> None:
        if (reason := pinned_by(statement)) and (
            pin := Pin(statement=statement, reason=reason)
        ).fingerprint not in told:
            told.add(pin.fingerprint)
            tell(pin)

    event.listen(engine, "before_cursor_execute", look)


def plan_of(connection: Connection, statement: str) -> list[str]:
    """Return the plan that PostgreSQL makes without knowing the values: a line a node, no condition, no value.

    Needs a transaction before PostgreSQL 16: the statement is prepared there, and cleaned away with the borrow.
    https://www.postgresql.org/docs/current/sql-explain.html
    """
    if not HAS_A_PLAN.match(statement):
        return []
    sent, _ = positional(statement, ())
    questions = [f"explain (generic_plan, costs off, format json) {sent}"]
    if (connection.dialect.server_version_info or ()) < GENERIC_PLAN_SINCE:
        connection.info[RESIDUE] = True
        questions = _questions_about_prepared(sent)
    with closing(connection.connection.cursor()) as cursor:  # past SQLAlchemy's events: no slow statement itself
        for question in questions:
            cursor.execute(question)
        (found,) = cursor.fetchone() or (None,)
    return list(_lines(found[0]["Plan"])) if found else []


def _questions_about_prepared(sent: str) -> list[str]:
    values = max((int(number) for number in re.findall(r"\$(\d+)", sent)), default=0)
    given = f"({', '.join(['null'] * values)})" if values else ""
    return [
        "set local plan_cache_mode = force_generic_plan",
        f"prepare slotwise_plan as {sent}",
        f"explain (costs off, format json) execute slotwise_plan{given}",
    ]


def _lines(node: Mapping[str, Any], depth: int = 0) -> Iterator[str]:
    """Yield a node and those below it: what it does, with which index, on which table."""
    index = f" using {node['Index Name']}" if "Index Name" in node else ""
    table = f" on {node['Relation Name']}" if "Relation Name" in node else ""
    yield f"{'  ' * depth}{node['Node Type']}{index}{table}"
    for below in node.get("Plans", ()):
        yield from _lines(below, depth + 1)
