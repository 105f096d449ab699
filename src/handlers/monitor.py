"""The Lambda function that looks at the server each minute: metrics, one line in the log, and left transactions ended.

It keeps the last survey while its environment lives, to tell what has happened since; without one it only counts.
"""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from db import Database
from db.statements.fingerprint import normalised
from handlers.environment import Answer, Event, database, entry_point, logger, metrics
from handlers.gauges import Gauges
from handlers.telemetry import MAX_TEXT
from monitor import Changes, Survey, Watch, changes_since, survey, warnings


class Monitor:
    """What one environment remembers between two looks."""

    def __init__(self, database: Database, gauges: Gauges) -> None:
        self._database, self._gauges = database, gauges
        self._last: Survey | None = None

    def __call__(self, event: Event, _context: LambdaContext) -> Answer:
        """Look, end what nobody will end, and say what was found; the event is the schedule's input."""
        watch = Watch.model_validate(event.get("detail", event))
        with self._database.autocommit() as connection:
            found = survey(connection, watch, self._last.statements_in if self._last else None)
        changes, self._last = changes_since(self._last, found, watch), found
        ended = sum(session.ended for session in found.left_behind)
        self._gauges.show(found, changes, ended=ended)
        wrong = warnings(found, changes, watch)
        _say(found, changes, wrong)
        return {"warnings": wrong, "ended": ended}


def _say(found: Survey, changes: Changes, wrong: list[str]) -> None:
    """Write what was found as one line; names, numbers and states, never a statement's values."""
    say = logger.warning if wrong else logger.info
    seen: dict[str, Any] = found.model_dump(mode="json", exclude={"left_behind", "statements", "statements_in"})
    left: list[dict[str, Any]] = [session.model_dump(mode="json") for session in found.left_behind]
    slow = [{"fingerprint": each.fingerprint, "statement": normalised(each.text)[:MAX_TEXT]} for each in changes.slow]
    say("server", extra={"warnings": wrong, "survey": seen, "slow": slow, "left_behind": left})


handler = entry_point(Monitor(database, Gauges(metrics)))
