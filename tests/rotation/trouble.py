"""A Secrets Manager in trouble: what it answers then."""

import json
import time
from base64 import b64encode
from collections.abc import Iterable
from itertools import chain, repeat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

JUNK_SECRET = "junk-that-must-not-be-seen"
MARGIN_S = 10.0
"""What a busy machine may take beyond a deadline: less than the troubles that never end in time, which take 20 s."""


class Answering:
    """Gives the same answer to everybody, after `delay_s` seconds."""

    def __init__(self, status: str, body: str, delay_s: float = 0) -> None:
        self._status, self._body, self._delay_s = status, body.encode(), delay_s

    def __call__(self, _environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        time.sleep(self._delay_s)
        headers = [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(self._body)))]
        start_response(self._status, headers)
        return [self._body]


class Trickling:
    """Begins to answer at once, and goes on by a byte now and then: no step of it takes long."""

    def __call__(self, _environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        start_response("200 OK", [("Content-Length", "100")])
        for _ in range(100):
            yield b" "
            time.sleep(0.2)


class Once:
    """Answers the first as `application` does, and all that follow as `then` does."""

    def __init__(self, application: "WSGIApplication", then: "WSGIApplication") -> None:
        self._answers = chain([application], repeat(then))

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        return next(self._answers)(environ, start_response)


def error(status: str, code: str) -> Answering:
    """Answer as AWS does to what it refuses."""
    return Answering(status, json.dumps({"__type": code, "message": "the service's own words"}))


def secret(text: str) -> Answering:
    """Answer with a version that holds `text`."""
    return Answering("200 OK", json.dumps({"VersionId": "v9", "VersionStages": [], "SecretString": text}))


TROUBLES: "dict[str, WSGIApplication]" = {
    "throttled": error("400 Bad Request", "ThrottlingException"),
    "forbidden": error("400 Bad Request", "AccessDeniedException"),
    "missing": error("400 Bad Request", "ResourceNotFoundException"),
    "undecryptable": error("400 Bad Request", "DecryptionFailure"),
    "broken": error("500 Internal Server Error", "InternalServiceError"),
    "gone": Answering("503 Service Unavailable", "<html>no upstream</html>"),
    "slow": Answering("200 OK", "{}", delay_s=2.5),
    "stalls": Answering("200 OK", "{}", delay_s=20),
    "trickle": Trickling(),
    "not JSON": Answering("200 OK", JUNK_SECRET),
    "no secret": Answering(
        "200 OK", json.dumps({"VersionId": "v9", "SecretBinary": b64encode(JUNK_SECRET.encode()).decode()})
    ),
    "no base64": Answering("200 OK", json.dumps({"VersionId": "v9", "SecretBinary": JUNK_SECRET})),
    "not a JSON secret": secret(JUNK_SECRET),
    "a secret without a user": secret(json.dumps({"password": JUNK_SECRET, "host": "127.0.0.1"})),
}
