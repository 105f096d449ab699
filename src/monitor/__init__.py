"""Looks at the whole server from one connection, and says what is wrong with it. Knows nothing of Lambda or metrics."""

from monitor.survey import Session, Survey, end_sessions, survey
from monitor.verdicts import Changes, changes_since, sessions_to_end, warnings
from monitor.watch import Watch

__all__ = [
    "Changes",
    "Session",
    "Survey",
    "Watch",
    "changes_since",
    "end_sessions",
    "sessions_to_end",
    "survey",
    "warnings",
]
