"""What is told of a statement besides its result: its plan's shape, without running it, and what it would pin."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine.interfaces import DBAPICursor

from db.observation import Pin
from db.statements.pinning import pinned_by
from db.statements.watched import WatchedConnection

GENERIC_PLAN_SINCE = (16,)
HAS_A_PLAN = re.compile(r"\s*(?:select|insert|update|delete|merge|with|values)\b", re.IGNORECASE)


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
    questions = [f"explain (generic_plan, costs off, format json) {statement}"]
    if (connection.dialect.server_version_info or ()) < GENERIC_PLAN_SINCE:
        questions = _questions_about_prepared(statement)
    session = cast("WatchedConnection", connection.connection.dbapi_connection)
    *_, (found,) = [session.run_untimed(question).rows or [None] for question in questions]
    return list(_lines(found[0][0]["Plan"])) if found else []


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
