"""CloudFormation's custom resource: whatever happens inside, it is answered, once and in time.

Who never answers leaves a stack waiting for an hour. So a timer answers where the work is too late, and nothing that
may fail, settings included, is imported before there is somebody to answer.
https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html
"""

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from aws_lambda_powertools.utilities.data_classes import CloudFormationCustomResourceEvent

ANSWER_S = 12.0
"""How long before the function's end the timer answers: time for three attempts."""
ATTEMPTS, ATTEMPT_S, PAUSE_S = 3, 3.0, 0.5
MAX_REASON = 800
"""Characters of a reason; CloudFormation takes 4096 bytes in all."""
OK = 200

Data = dict[str, str | int]
Work = Callable[[], Data]
"""Does what is asked and returns the resource's attributes; raises what went wrong."""


class Answer:
    """The one answer to one event."""

    def __init__(self, event: CloudFormationCustomResourceEvent) -> None:
        self._event = event
        self._lock = threading.Lock()
        self._is_given = False

    def give(self, status: str, reason: str, data: Data | None = None) -> None:
        """Answer, where nobody has; raise OSError or HTTPException where CloudFormation cannot be reached."""
        with self._lock:
            if self._is_given:
                return
            body = json.dumps(self._body(status, reason, data or {}), ensure_ascii=False)
            _put(self._event.response_url, body.encode())
            self._is_given = True

    def give_late(self, late_s: float) -> None:
        """Say that the work is not done; where that does not arrive, the work itself may still answer."""
        with suppress(OSError, HTTPException):
            self.give("FAILED", f"not done in {late_s:.0f} s: see the function's log")

    def _body(self, status: str, reason: str, data: Data) -> dict[str, Any]:
        event = self._event
        return {
            "Status": status,
            "Reason": reason[:MAX_REASON],
            "PhysicalResourceId": event.physical_resource_id or f"{event.logical_resource_id}-{_id_of(event.stack_id)}",
            "StackId": event.stack_id,
            "RequestId": event.request_id,
            "LogicalResourceId": event.logical_resource_id,
            "Data": data,
        }


def serve(
    event: CloudFormationCustomResourceEvent, remaining_ms: float, work: Work, reason_for: Callable[[Exception], str]
) -> None:
    """Answer `event` with what comes of `work`, before the `remaining_ms` of the function are over.

    Raises OSError or HTTPException where the answer does not arrive: Lambda then runs the function again.
    """
    answer = Answer(event)
    late_s = max(0.1, remaining_ms / 1000 - ANSWER_S)
    timer = threading.Timer(late_s, answer.give_late, (late_s,))
    timer.daemon = True
    timer.start()
    try:
        outcome = _outcome(work, reason_for)
    except BaseException:
        answer.give("FAILED", "ended without a word: see the function's log")
        raise
    else:
        answer.give(*outcome)
    finally:
        timer.cancel()


def _outcome(work: Work, reason_for: Callable[[Exception], str]) -> tuple[str, str, Data]:
    try:
        return "SUCCESS", "", work()
    except Exception as error:  # noqa: BLE001 - the outermost edge: CloudFormation is answered whatever happens
        return "FAILED", reason_for(error), {}


def _id_of(stack: str) -> str:
    """Return the last part of the stack's ARN, which no other stack has."""
    return stack.rpartition("/")[2]


def _put(url: str, body: bytes) -> None:
    """Put the answer where CloudFormation waits for it; the URL is signed for no content type."""
    for left in reversed(range(ATTEMPTS)):
        try:
            return _attempt(url, body)
        except (OSError, HTTPException):
            if not left:
                raise
        time.sleep(PAUSE_S)
    raise AssertionError("the last attempt returns or raises")


def _attempt(url: str, body: bytes) -> None:
    parts = urlsplit(url)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=ATTEMPT_S)
    try:
        connection.request("PUT", f"{parts.path}?{parts.query}", body, {"Content-Type": ""})
        status = connection.getresponse().status
    finally:
        connection.close()
    if status != OK:
        raise HTTPException(f"CloudFormation's address answered {status}")
