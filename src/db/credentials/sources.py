"""Where a secret's versions come from, asked with an explicit stage, always: `extension`, `api` and `sdk` are such."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from db.credentials.calls import CALLS_AT_ONCE, ONE_MORE_S, Calls
from db.credentials.stages import Stage
from db.deadline import Deadline
from db.errors import SecretError
from db.masking import Secret

MISSING = "ResourceNotFoundException"
NO_TEXT = "it has no SecretString"
TOO_OFTEN = f"it was asked for {CALLS_AT_ONCE} times in a row, and is once more each {ONE_MORE_S:.0f} s"

LASTING = frozenset({"AccessDeniedException", "DecryptionFailure", NO_TEXT})
"""What may be said of one version and not of another, and will be said again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One version of a secret, as Secrets Manager gave it."""

    version: str
    text: Secret
    created_at: float | None = None
    """Seconds since 1970; None where it was not said."""


class Source(Protocol):
    """Gives the versions of one secret."""

    def forget(self) -> None:
        """Drop what a clone of this process must not share: sessions, and the role's keys in them."""

    def fetch(self, stage: Stage, deadline: Deadline, calls: Calls, *, fresh: bool) -> Answer | None:
        """Return the version that has `stage`, None where none has; `fresh` forbids every cache on the way.

        Takes each request that it sends from `calls`. Raises SecretError, which names the secret, where the answer
        cannot be had by `deadline`.
        """


class AskedTooOftenError(SecretError):
    """Secrets Manager was not asked, and so has not said anything new."""


class UselessVersionError(SecretError):
    """A version cannot be had, or holds no login, however often it is asked for; another stage's may."""


def unreadable(secret_id: str, why: str) -> SecretError:
    """Return the error that says why there is no answer."""
    return _kind(why)(f"secret {secret_id} cannot be read: {why}")


def _kind(why: str) -> type[SecretError]:
    if why == TOO_OFTEN:
        return AskedTooOftenError
    return UselessVersionError if why in LASTING else SecretError


def answer_in(content: Mapping[str, Any]) -> Answer | None:
    """Return the version in a GetSecretValue's answer; None where it has no text."""
    text, version = content.get("SecretString"), content.get("VersionId")
    if not (isinstance(text, str) and isinstance(version, str)):
        return None
    return Answer(version=version, text=Secret(text), created_at=_seconds(content.get("CreatedDate")))


def _seconds(date: object) -> float | None:
    """Read a date as the API (a number), botocore (a datetime) and the extension (ISO 8601, too) write it."""
    try:
        when = datetime.fromisoformat(date) if isinstance(date, str) else date
    except ValueError:
        return None
    if isinstance(when, datetime):
        return when.timestamp()
    return float(when) if isinstance(when, int | float) else None
