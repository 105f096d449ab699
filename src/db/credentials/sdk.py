"""Secrets Manager through the SDK, for where it takes the SDK to know whom to ask, or as whom.

botocore alone: boto3 adds nothing to a client but a third of its import. Imported at the first need.
"""

import logging
from typing import Any

from db.clock import DAY_S
from db.credentials.calls import Calls
from db.credentials.sources import MISSING, NO_TEXT, TOO_OFTEN, Answer, answer_in, unreadable
from db.credentials.stages import Stage
from db.deadline import Deadline
from db.errors import DeadlineExceededError
from db.patience import in_time

SERVICE = "secretsmanager"


class SdkSource:
    """Keys, region and endpoint from wherever the SDK finds them."""

    def __init__(self, secret_id: str) -> None:
        self.secret_id = secret_id
        self._session: Any = None
        """A session must not be used by two threads at once."""

    def forget(self) -> None:
        """Begin a session that knows nobody, and has read what it needs: the clones of a snapshot need not read it."""
        self._session = new_session()
        self._session.get_available_regions(SERVICE)  # reads the service's model and everybody's endpoints

    def fetch(self, stage: Stage, deadline: Deadline, calls: Calls, *, fresh: bool) -> Answer | None:  # noqa: ARG002 - always is
        """Ask the API, twice at most, in a thread of its own: the SDK's time-outs are for each step of many."""
        session, self._session = self._session, None  # an answer that comes too late is still waited for with it
        found: Answer | str
        try:
            found, self._session = in_time(
                lambda: self._ask(session, stage, deadline, calls), deadline, f"read secret {self.secret_id}"
            )
        except (TimeoutError, DeadlineExceededError):
            found = "TimeoutError"
        if isinstance(found, Answer):
            return found
        if found == MISSING and stage is not Stage.CURRENT:
            return None
        raise unreadable(self.secret_id, found)

    def _ask(self, session: Any, stage: Stage, deadline: Deadline, calls: Calls) -> tuple[Answer | str, Any]:  # noqa: ANN401 - botocore makes its classes when it runs
        """Return the answer, or why there is none, and the session; raises nothing, as its error holds our token."""
        if not (attempts := calls.attempts()):
            return TOO_OFTEN, session
        try:
            session = session or new_session()
            client = _client(session, deadline, attempts)
            client.meta.events.register("before-send", lambda **_: calls.note())
            content = client.get_secret_value(SecretId=self.secret_id, VersionStage=stage)
        except Exception as error:  # noqa: BLE001 - botocore puts what it meets, our token too, into whatever it raises
            return _code(error), session
        return answer_in(content) or NO_TEXT, session


def _client(session: Any, deadline: Deadline, attempts: int) -> Any:  # noqa: ANN401 - as above
    """Return a client for one question: its time-outs are what is left now."""
    from botocore.config import Config  # noqa: PLC0415 - as below

    wait_s = max(0.1, min(deadline.remaining_s(), DAY_S) / 2)
    config = Config(
        connect_timeout=min(wait_s, 1.0),
        read_timeout=wait_s,
        retries={"total_max_attempts": attempts, "mode": "standard"},
    )
    return session.create_client(SERVICE, config=config)


def new_session() -> Any:  # noqa: ANN401 - as above
    """Return a session that knows nobody yet: keys are looked for when they are asked for."""
    from botocore import session  # noqa: PLC0415 - a third of a cold start's imports, and not needed in most

    _quiet_sdk()
    return session.get_session()


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
