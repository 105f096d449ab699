"""Where a secret's versions come from: the extension beside the function, or the API of Secrets Manager.

Always asks with an explicit stage. The SDK is imported at the first need: where the extension serves, never.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from db.credentials.stages import Stage
from db.environment.process import Extension
from db.errors import SecretError
from db.masking import Secret, without_frames

MISSING = "ResourceNotFoundException"
EXTENSION_TIMEOUT_S = 1.0


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

    def fetch(self, stage: Stage, within_s: float, *, fresh: bool) -> Answer | None:
        """Return the version that has `stage`, None where none has; `fresh` forbids every cache on the way.

        Raises SecretError, which names the secret, where that cannot be had in time.
        """


class ApiSource:
    """Secrets Manager itself, through botocore: boto3 adds nothing to a client but a third of its import."""

    def __init__(self, secret_id: str) -> None:
        self.secret_id = secret_id
        self._session: Any = None
        """A session must not be used by two threads at once."""

    def forget(self) -> None:
        """Make a session anew at the next need."""
        self._session = None

    def fetch(self, stage: Stage, within_s: float, *, fresh: bool = True) -> Answer | None:  # noqa: ARG002 - always is
        """Ask the API, twice at most, within `within_s` seconds."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - a third of a cold start's imports

        cause: Exception | None = None
        try:
            content = self._client(within_s).get_secret_value(SecretId=self.secret_id, VersionStage=stage)
        except (BotoCoreError, ClientError) as error:
            code, cause = _code(error), without_frames(error)
            if code == MISSING and stage is not Stage.CURRENT:
                return None
        except Exception as error:  # noqa: BLE001 - botocore's parsers meet junk, and put it into what they raise
            code = type(error).__name__
        else:
            if answer := _answer(content):
                return answer
            code, content = "it has no SecretString", None  # the frame of an error must not hold what it has instead
        raise SecretError(f"secret {self.secret_id} cannot be read: {code}") from cause

    def _client(self, within_s: float) -> Any:  # noqa: ANN401 - botocore makes its classes when it runs
        """Return a client for one question: its time-outs are what is left now."""
        from botocore import session  # noqa: PLC0415 - as above
        from botocore.config import Config  # noqa: PLC0415 - as above

        _quiet_sdk()
        self._session = self._session or session.get_session()
        wait_s = max(0.1, within_s / 2)
        config = Config(
            connect_timeout=min(wait_s, 1.0),
            read_timeout=wait_s,
            retries={"total_max_attempts": 2, "mode": "standard"},
        )
        return self._session.create_client("secretsmanager", config=config)


def _quiet_sdk() -> None:
    """Keep botocore from logging what it sends and gets: at DEBUG that is our session token and the secret itself.

    Lambda's log level DEBUG is every logger's. Who gives botocore's a level of its own has decided otherwise.
    """
    logger = logging.getLogger("botocore")
    if logger.level == logging.NOTSET:
        logger.setLevel(max(logger.getEffectiveLevel(), logging.INFO))


def _code(error: Exception) -> str:
    """Return the service's error code, or the kind of failure on the way to it; never a message."""
    response: dict[str, Any] = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", type(error).__name__))


@dataclass(frozen=True, slots=True)
class ExtensionSource:
    """The AWS Parameters and Secrets Lambda Extension, over HTTP on this machine; the API where it does not answer.

    The extension keeps what it fetched for up to five minutes, and says nothing of the age: `fresh` passes it by.
    https://docs.aws.amazon.com/secretsmanager/latest/userguide/retrieving-secrets_lambda.html
    """

    secret_id: str
    extension: Extension
    otherwise: Source

    def forget(self) -> None:
        """Nothing is kept here."""
        self.otherwise.forget()

    def fetch(self, stage: Stage, within_s: float, *, fresh: bool = False) -> Answer | None:
        """Ask the extension; ask the API where it is not there, not ready, or has an error to report."""
        answer = None if fresh else self._ask(stage, min(within_s, EXTENSION_TIMEOUT_S))
        return answer or self.otherwise.fetch(stage, within_s, fresh=fresh)

    def _ask(self, stage: Stage, within_s: float) -> Answer | None:
        from http.client import HTTPConnection, HTTPException  # noqa: PLC0415 - only where a secret is fetched
        from urllib.parse import urlencode  # noqa: PLC0415 - as above

        query = urlencode({"secretId": self.secret_id, "versionStage": stage})
        headers = {"X-Aws-Parameters-Secrets-Token": self.extension.token.reveal()}
        connection = HTTPConnection("127.0.0.1", self.extension.port, timeout=within_s)
        try:
            connection.request("GET", f"/secretsmanager/get?{query}", headers=headers)
            answer = connection.getresponse()
            content = json.loads(answer.read()) if answer.status == 200 else None  # noqa: PLR2004 - HTTP's OK
        except (OSError, HTTPException, ValueError):
            return None
        finally:
            connection.close()
        return _answer(content) if isinstance(content, dict) else None


def _answer(content: Mapping[str, Any]) -> Answer | None:
    """Return the version in a GetSecretValue's answer; None where it has no text."""
    text, version = content.get("SecretString"), content.get("VersionId")
    if not (isinstance(text, str) and isinstance(version, str)):
        return None
    return Answer(version=version, text=Secret(text), created_at=_seconds(content.get("CreatedDate")))


def _seconds(date: object) -> float | None:
    """Read a date as botocore (a datetime) and the extension (a number or ISO 8601) write it."""
    try:
        when = datetime.fromisoformat(date) if isinstance(date, str) else date
    except ValueError:
        return None
    if isinstance(when, datetime):
        return when.timestamp()
    return float(when) if isinstance(when, int | float) else None
