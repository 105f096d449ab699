"""CloudFormation's side of a custom resource: sends the function an event, and takes what it answers by HTTP.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-requesttypes.html
"""

import json
import uuid
from typing import Any

from werkzeug.wrappers import Request, Response

from local.function import LambdaFunction
from local.serving import Server

STACK = "arn:aws:cloudformation:eu-central-1:123456789012:stack/slotwise/6f1b7b00-0000-11f0-8000-0a1b2c3d4e5f"


class ResourceFailedError(RuntimeError):
    """The function could not make the resource; carries its reason, or that it gave none."""


def create(function: LambdaFunction, logical_id: str, properties: dict[str, Any]) -> dict[str, Any]:
    """Let `function` create the resource; return its attributes, or raise ResourceFailedError."""
    answers: list[dict[str, Any]] = []

    @Request.application
    def take(request: Request) -> Response:
        answers.append(json.loads(request.get_data()))
        return Response()

    with Server(take) as server:
        invocation = function.invoke(event_of("Create", f"{server.url}/answer?signature=s", logical_id, properties))
    if not answers:
        raise ResourceFailedError(f"{logical_id}: {invocation.failure or 'no answer'}: {invocation.payload}")
    if answers[0]["Status"] != "SUCCESS":
        raise ResourceFailedError(f"{logical_id}: {answers[0]['Reason']}")
    return dict(answers[0]["Data"])


def event_of(request: str, url: str, logical_id: str, properties: dict[str, Any]) -> dict[str, Any]:
    """Return the event of `request`: Create, Update or Delete; the answer is put to `url`."""
    return {
        "RequestType": request,
        "ResponseURL": url,
        "StackId": STACK,
        "RequestId": str(uuid.uuid4()),
        "LogicalResourceId": logical_id,
        "ResourceType": f"Custom::{logical_id}",
        "ResourceProperties": {"ServiceToken": "arn:aws:lambda:eu-central-1:123456789012:function:p", **properties},
    }
