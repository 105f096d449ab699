"""Which version of a secret to try next. Decides only: knows nothing of passwords, servers or Secrets Manager's API.

While a rotation runs, the password in the database has changed and AWSCURRENT has not moved yet: AWSPENDING is right.
A replica that lags still has the password of AWSPREVIOUS.
https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

RETRY_S = 30.0
"""How long after a failure to fetch the secret anew it is left alone, an older version being there."""
SPREAD_S = 300.0
"""Over how many seconds a fleet spreads its fetches after the date of a rotation."""


class Stage(StrEnum):
    """The staging labels."""

    CURRENT = "AWSCURRENT"
    PENDING = "AWSPENDING"
    PREVIOUS = "AWSPREVIOUS"


QUESTIONS = (Stage.CURRENT, Stage.PENDING, Stage.CURRENT, Stage.PREVIOUS)
"""What is asked for in turn. AWSCURRENT again, because the rotation may have ended between the first two."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What a process knows of a secret's versions, by their ids."""

    stages: Mapping[Stage, str] = field(default_factory=dict)
    """The version that each stage had when it was last asked for."""
    answered: Mapping[Stage, int] = field(default_factory=dict)
    """The number of the question to which that was the answer: a process numbers its questions as it sends them."""
    trusted: str | None = None
    """The version to begin with."""
    stale: bool = False
    """The trusted version is too old to begin with, unless nothing newer can be had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What one connect has done so far."""

    began: int = 0
    """The last question of the process that was answered when this began."""
    refused: int = 0
    """The last that was sent when the server first refused a version; until then, when this began."""
    tried: frozenset[str | None] = frozenset()
    """Versions that the server has refused."""
    failed: bool = False
    """A question was not answered: Secrets Manager is asked nothing more, and what is known must do."""

    def after_refusal(self, version: str | None, sent: int) -> "Attempt":
        """Return what it has done when the server refuses `version`; question `sent` was the last."""
        return replace(self, refused=self.refused if self.tried else sent, tried=self.tried | {version})

    def untried(self, version: str | None) -> "Try | None":
        """Return the step that tries `version`; None where there is none or it was refused."""
        return Try(version) if version is not None and version not in self.tried else None


@dataclass(frozen=True, slots=True)
class Try:
    """Log in with this version."""

    version: str


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask Secrets Manager which version has this stage, and what is in it."""

    stage: Stage


def next_step(known: Known, attempt: Attempt) -> Try | Ask | None:
    """Return what to do next; None where nothing is left. No version is tried twice, no question asked twice.

    Nor is one that another connect has asked meanwhile: what that was told is tried, and only where it helps nothing
    does it matter whether it was asked after this one's refusal, as the password may have changed in between.
    """
    if not known.stale and (step := attempt.untried(known.trusted)):
        return step
    for number, stage in enumerate(QUESTIONS):
        found = attempt.untried(known.stages.get(stage))
        if found and known.answered.get(stage, 0) > attempt.began:
            return found
        if not attempt.failed and known.answered.get(stage, 0) <= _outdated(number, known, attempt):
            return Ask(stage)
        if step := found or attempt.untried(known.trusted):
            return step
    return None


def _outdated(number: int, known: Known, attempt: Attempt) -> int:
    """Return the last question to which an answer is too old to be one to `QUESTIONS[number]`.

    The first AWSCURRENT may be older than the refusal, and on its way when this connect began: it is asked for again.
    """
    return (attempt.began, attempt.refused, known.answered.get(Stage.PENDING, 0), attempt.refused)[number]


def lifetime_s(*, max_age_s: float, rotates_in_s: float | None, jitter: float) -> float:
    """Return how long a version that was just fetched is good for, in seconds.

    Until its next rotation where that is known and lies ahead, else its greatest age less up to a fifth; `jitter` is
    from 0 to 1 and keeps a fleet from asking all at once.
    """
    if rotates_in_s is not None and rotates_in_s > 0:
        return rotates_in_s + jitter * SPREAD_S
    return max_age_s * (1 - jitter / 5)
