"""A secret through the AWS Parameters and Secrets Lambda Extension: HTTP on this machine, no SDK, no signature.

https://docs.aws.amazon.com/secretsmanager/latest/userguide/retrieving-secrets_lambda.html
"""

import json
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlencode

from db.credentials.calls import Calls
from db.credentials.sources import Answer, Source, answer_in
from db.credentials.stages import Stage
from db.deadline import Deadline
from db.environment.endpoint import Endpoint
from db.environment.process import Extension

TIMEOUT_S = 1.0
"""How long it may take, which is on this machine; never more than half of the time that is left."""


@dataclass(frozen=True, slots=True)
class ExtensionSource:
    """The extension; the API where it does not answer.

    The extension keeps what it fetched for up to five minutes, and says nothing of the age: `fresh` passes it by.
    """

    secret_id: str
    extension: Extension
    otherwise: Source

    def forget(self) -> None:
        """Nothing is kept here."""
        self.otherwise.forget()

    def fetch(self, stage: Stage, deadline: Deadline, calls: Calls, *, fresh: bool) -> Answer | None:
        """Ask the extension; ask the API where it is not there, not ready, or has an error to report.

        The last request that may be sent is the API's: an extension that never answers must not take each of them.
        """
        soon = deadline.within(min(TIMEOUT_S, deadline.remaining_s() / 2))
        may_ask = not fresh and calls.left() > 1 and calls.take()
        answer = self._ask(stage, soon) if may_ask else None
        return answer or self.otherwise.fetch(stage, deadline, calls, fresh=fresh)

    def _ask(self, stage: Stage, deadline: Deadline) -> Answer | None:
        from db.credentials.exchange import HTTPException, exchange  # noqa: PLC0415 - only where a secret is fetched

        query = urlencode({"secretId": self.secret_id, "versionStage": stage})
        headers = {"X-Aws-Parameters-Secrets-Token": self.extension.token.reveal()}
        beside = Endpoint("127.0.0.1", self.extension.port, is_plain=True)
        try:
            status, text = exchange(beside, f"/secretsmanager/get?{query}", headers, None, deadline)
            content = json.loads(text) if status == HTTPStatus.OK else None
        except (OSError, HTTPException, ValueError, RecursionError):  # JSON may be nested too deep
            return None
        return answer_in(content) if isinstance(content, dict) else None
