"""Looks at the whole server from one connection, and says what is wrong with it. Knows nothing of Lambda or metrics."""

from monitor.survey import Survey, survey
from monitor.verdicts import Changes, changes_since, warnings
from monitor.watch import Watch

__all__ = ["Changes", "Survey", "Watch", "changes_since", "survey", "warnings"]
