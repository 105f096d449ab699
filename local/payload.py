"""API Gateway's payload format 2.0: an HTTP request as an event, a function's answer as a response. No sockets here.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import base64
import binascii
import json
import time
import uuid
from collections.abc import Mapping
from typing import Any

from werkzeug.datastructures import Headers
from werkzeug.wrappers import Request, Response

from local.template import Route

ACCOUNT_ID = "123456789012"
API_ID = "local"
TEXT_TYPES = ("text/", "application/json", "application/javascript", "application/xml")
"""Bodies of these types, and of `+json` and `+xml`, travel as text, all others in base64."""


class MalformedAnswerError(ValueError):
    """The function answered what API Gateway cannot turn into a response."""


def event_of(request: Request, route: Route, path_parameters: Mapping[str, Any], body: bytes) -> dict[str, Any]:
    """Return the event for `request`."""
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route.key,
        "rawPath": request.path,
        "rawQueryString": request.query_string.decode("latin-1"),
        "headers": _headers(request),
        "requestContext": _context(request, route),
        "isBase64Encoded": False,
    }
    if cookie := request.headers.get("Cookie"):
        event["cookies"] = cookie.split("; ")
    if request.args:
        event["queryStringParameters"] = {name: ",".join(values) for name, values in request.args.lists()}
    if path_parameters:
        event["pathParameters"] = {name: str(value) for name, value in path_parameters.items()}
    if body:
        event |= _body(request.mimetype, body)
    return event


def _headers(request: Request) -> dict[str, str]:
    """Return the headers in lower case, those that come several times joined, and what API Gateway adds."""
    given = {name.lower(): ",".join(request.headers.getlist(name)) for name in request.headers.keys()}  # noqa: SIM118 - a multi-dict iterates over pairs
    given.pop("cookie", None)
    _, _, port = request.host.partition(":")
    return {
        **given,
        "host": request.host,
        "x-amzn-trace-id": f"Root=1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]}",
        "x-forwarded-for": request.remote_addr or "",
        "x-forwarded-port": port or "80",
        "x-forwarded-proto": "http",
    }


def _context(request: Request, route: Route) -> dict[str, Any]:
    now = time.time()
    return {
        "accountId": ACCOUNT_ID,
        "apiId": API_ID,
        "domainName": request.host,
        "domainPrefix": API_ID,
        "http": {
            "method": request.method,
            "path": request.path,
            "protocol": request.environ.get("SERVER_PROTOCOL", "HTTP/1.1"),
            "sourceIp": request.remote_addr,
            "userAgent": request.headers.get("User-Agent", ""),
        },
        "requestId": uuid.uuid4().hex,
        "routeKey": route.key,
        "stage": "$default",
        "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(now)),
        "timeEpoch": int(now * 1000),
    }


def _body(mimetype: str, body: bytes) -> dict[str, Any]:
    if mimetype.startswith(TEXT_TYPES) or mimetype.endswith(("+json", "+xml")):
        try:
            return {"body": body.decode(), "isBase64Encoded": False}
        except UnicodeDecodeError:
            pass  # text by name only
    return {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}


def response_of(answer: Any) -> Response:  # noqa: ANN401 - any JSON
    """Return the response for a function's `answer`; raise MalformedAnswerError where there is none for it."""
    if not (isinstance(answer, dict) and "statusCode" in answer):
        body = answer if isinstance(answer, str) else json.dumps(answer)
        return Response(body, 200, content_type="application/json")
    headers = Headers({name: str(value) for name, value in (answer.get("headers") or {}).items()})
    headers.setdefault("Content-Type", "text/plain;charset=utf-8")
    for cookie in answer.get("cookies") or ():
        headers.add("Set-Cookie", cookie)
    return Response(_content(answer), _status(answer["statusCode"]), headers)


def _status(code: object) -> int:
    try:
        status = int(str(code))
    except ValueError:
        status = 0
    if not 100 <= status <= 599:  # noqa: PLR2004 - HTTP's
        raise MalformedAnswerError(f"{code!r} is no status")
    return status


def _content(answer: Mapping[str, Any]) -> bytes:
    body = answer.get("body") or ""
    if not isinstance(body, str):
        raise MalformedAnswerError("the body is no string")
    try:
        return base64.b64decode(body, validate=True) if answer.get("isBase64Encoded") else body.encode()
    except (binascii.Error, UnicodeError) as error:
        raise MalformedAnswerError("the body is not what isBase64Encoded says") from error
