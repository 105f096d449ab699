"""The Lambda function that looks at the server each minute: metrics, one line in the log, and left transactions ended.

It keeps the last survey while its environment lives, to tell what has happened since; without one it only counts.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from sqlalchemy import Connection
from sqlalchemy.exc import ProgrammingError

from db import Database, sqlstate
from db.statements.fingerprint import normalised
from handlers.environment import Answer, Event, database, entry_point, logger, metrics
from handlers.gauges import Gauges
from handlers.telemetry import MAX_TEXT
from monitor import Changes, Session, Survey, Watch, changes_since, end_sessions, sessions_to_end, survey, warnings

NOT_PERMITTED, NO_SUCH_TABLE = "42501", "42P01"


class Monitor:
    """What one environment remembers between two looks."""

    def __init__(self, database: Database, gauges: Gauges) -> None:
        self._database, self._gauges = database, gauges
        self._last: Survey | None = None

    def __call__(self, event: Event, _context: LambdaContext) -> Answer:
        """Look, end what nobody will end, and say what was found; the event is the schedule's input."""
        watch = Watch.model_validate(event.get("detail", event))
        with self._database.autocommit() as connection:
            found = self._survey(connection, watch)
            left = sessions_to_end(found, watch)
            ended = _end(connection, left) if left else []
        changes, self._last = changes_since(self._last, found, watch), found
        self._gauges.show(found, changes, ended=len(ended))
        wrong = warnings(found, changes, watch)
        _say(found, changes, wrong, _dead(left, ended))
        return {"warnings": wrong, "ended": len(ended)}

    def _survey(self, connection: Connection, watch: Watch) -> Survey:
        """Ask for the statements where the last look found them; should they be gone since, ask without."""
        statements_in = self._last.statements_in if self._last else None
        try:
            return survey(connection, watch, statements_in)
        except ProgrammingError as error:
            if statements_in is None or sqlstate(error) != NO_SUCH_TABLE:
                raise
            return survey(connection, watch, None)


def _end(connection: Connection, left: list[Session]) -> list[int]:
    try:
        return end_sessions(connection, left)
    except ProgrammingError as error:
        if sqlstate(error) != NOT_PERMITTED:
            raise
        logger.warning("the monitor's role may not end sessions: grant it pg_signal_backend")
        return []


def _dead(left: list[Session], ended: list[int]) -> list[dict[str, Any]]:
    return [session.model_dump(mode="json") | {"ended": session.pid in ended} for session in left]


def _say(found: Survey, changes: Changes, wrong: list[str], dead: list[dict[str, Any]]) -> None:
    """Write what was found as one line; names, numbers and states, never a statement's values."""
    say = logger.warning if wrong else logger.info
    seen: dict[str, Any] = found.model_dump(mode="json", exclude={"held", "statements", "statements_in"})
    slow = [{"fingerprint": each.fingerprint, "statement": normalised(each.text)[:MAX_TEXT]} for each in changes.slow]
    say("server", extra={"warnings": wrong, "survey": seen, "slow": slow, "left_behind": dead})


handler = entry_point(Monitor(database, Gauges(metrics)))
