"""What the doctor finds: one line a check, with what to do about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line."""

    check: str
    level: Level
    says: str
    advice: str = ""


def ok(check: str, says: str) -> Finding:
    """Return what is as it should be."""
    return Finding(check, Level.OK, says)


def warning(check: str, says: str, advice: str) -> Finding:
    """Return what works, and will not always."""
    return Finding(check, Level.WARNING, says, advice)


def failure(check: str, says: str, advice: str) -> Finding:
    """Return what does not work."""
    return Finding(check, Level.FAILURE, says, advice)


def worst(findings: Sequence[Finding]) -> Level:
    """Return how bad it is in all."""
    levels = {finding.level for finding in findings}
    return next((level for level in (Level.FAILURE, Level.WARNING) if level in levels), Level.OK)
