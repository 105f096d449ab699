"""A secret from Secrets Manager's API, by one signed request: the SDK would cost a start a third of all that it loads.

Where keys or endpoint are not the usual ones, it is the SDK that is asked.
https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
"""

import json
import random
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus

from db.credentials.calls import Calls
from db.credentials.sdk import SERVICE, SdkSource
from db.credentials.signature import Signer
from db.credentials.sources import MISSING, NO_TEXT, TOO_OFTEN, Answer, answer_in, unreadable
from db.credentials.stages import Stage
from db.deadline import Deadline
from db.environment.endpoint import Endpoint, require_privacy, secrets_manager
from db.environment.process import AwsIdentity, aws_identity

HEADERS = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "secretsmanager.GetSecretValue"}
PASSING = frozenset({"RequestTimeoutException", "ThrottlingException", "TooManyRequestsException"})
"""Errors after which it helps to ask again, besides those of the server (5xx) and of the way to it."""
UNTRUSTED = "SSLCertVerificationError"
"""The system knows no such authority, or none at all: the SDK brings its own."""
LONGEST_PAUSE_S = 1.0
"""Between two attempts, with full jitter; and never more than a quarter of the time that is left."""


class ApiSource:
    """Secrets Manager, asked with the keys that Lambda has put into the environment."""

    def __init__(self, secret_id: str) -> None:
        """Begin; raise ConfigurationError where others could read along."""
        require_privacy()
        self.secret_id = secret_id
        self._sdk = SdkSource(secret_id)
        self._is_untrusted = False
        """Whether the system trusts nobody who answers: each request of our own would only be one less for the SDK."""

    def forget(self) -> None:
        """Drop what the SDK knows, which a clone asks for keys; those of the environment are read for each question."""
        self._sdk.forget()
        self._is_untrusted = False

    def fetch(self, stage: Stage, deadline: Deadline, calls: Calls, *, fresh: bool) -> Answer | None:
        """Ask the API, twice at most."""
        found = None if self._is_untrusted else self._asked_by_us(stage, deadline, calls)
        if found is None:
            return self._sdk.fetch(stage, deadline, calls, fresh=fresh)
        if isinstance(found, Answer):
            return found
        if found.code == MISSING and stage is not Stage.CURRENT:
            return None
        raise unreadable(self.secret_id, found.code)

    def _asked_by_us(self, stage: Stage, deadline: Deadline, calls: Calls) -> "Answer | _Failure | None":
        """Ask by a request of our own; None where the SDK has to."""
        identity = aws_identity()
        endpoint = secrets_manager(identity.region) if identity else None
        if identity is None or endpoint is None:
            return None
        found = _Question(self.secret_id, stage, identity, endpoint).answer(deadline, calls)
        self._is_untrusted = isinstance(found, _Failure) and found.code == UNTRUSTED
        return None if self._is_untrusted else found


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why there is no answer."""

    code: str
    """The service's, or the kind of failure on the way to it; never a message."""
    may_pass: bool = False


@dataclass(frozen=True, slots=True)
class _Question:
    """Which version has a stage: who asks whom."""

    secret_id: str
    stage: Stage
    identity: AwsIdentity
    endpoint: Endpoint

    def answer(self, deadline: Deadline, calls: Calls) -> Answer | _Failure:
        """Ask, and once more where that may help; the first answer is waited for half of the time."""
        may_repeat = calls.attempts() > 1
        if not calls.take():
            return _Failure(TOO_OFTEN)
        found = self._ask(deadline.within(deadline.remaining_s() / 2))
        if isinstance(found, _Failure) and found.may_pass and may_repeat and calls.take():
            time.sleep(random.SystemRandom().random() * min(LONGEST_PAUSE_S, deadline.remaining_s() / 4))
            found = self._ask(deadline)
        return found

    def _ask(self, deadline: Deadline) -> Answer | _Failure:
        from db.credentials.exchange import HTTPException, exchange  # noqa: PLC0415 - only where a secret is fetched

        body = json.dumps({"SecretId": self.secret_id, "VersionStage": self.stage}).encode()
        signer = Signer(self.identity, SERVICE, datetime.now(UTC))
        headers = signer.signed({"host": self.endpoint.authority, **HEADERS}, body)
        try:
            return _read(*exchange(self.endpoint, "/", headers, body, deadline))
        except (OSError, HTTPException, ValueError) as error:  # ValueError: a token that no header can hold
            code = type(error).__name__
        return _Failure(code, may_pass=code != UNTRUSTED)


def _read(status: int, text: bytes) -> Answer | _Failure:
    """Read what the API says; raises nothing, so that no frame with it is kept.

    https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html#operation-error-serialization
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    content = content if isinstance(content, dict) else {}
    if status == HTTPStatus.OK:
        return answer_in(content) or _Failure(NO_TEXT)
    code = str(content.get("__type", "")).partition(":")[0].rpartition("#")[2]
    may_pass = status >= HTTPStatus.INTERNAL_SERVER_ERROR or code in PASSING
    return _Failure(code if code.isidentifier() else f"HTTP {status}", may_pass=may_pass)
