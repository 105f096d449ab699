"""An HTTP API of API Gateway on this machine: finds the route, invokes its function, and fails as API Gateway does.

Requests are not signed here, and nobody checks who asks: it listens on 127.0.0.1 only.
https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
"""

import re
from collections.abc import Iterable, Mapping
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotDoneError
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

from local.environment import EnvironmentStartError, Invocation
from local.function import EventTooLargeError, LambdaFunction, ThrottledError
from local.payload import MalformedAnswerError, event_of, response_of
from local.rie import EmulatorError
from local.template import Route

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

MAX_BODY_BYTES = 10 * 1024 * 1024
MAX_WAIT_S = 30
MAX_THREADS = 1000


class Gateway:
    """A WSGI application."""

    def __init__(self, routes: Iterable[Route], functions: Mapping[str, LambdaFunction]) -> None:
        self._routes = Map([_rule(route) for route in routes], strict_slashes=True, merge_slashes=False)
        self._functions = functions
        self._threads = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="invoke")

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer one request."""
        return self._answer(Request(environ))(environ, start_response)

    def _answer(self, request: Request) -> Response:
        try:
            route, path_parameters = self._match(request)
        except HTTPException:
            return _message(HTTPStatus.NOT_FOUND)
        body = request.stream.read(MAX_BODY_BYTES + 1)
        if len(body) > MAX_BODY_BYTES:
            return _message(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        return self._invoke(route.function, event_of(request, route, path_parameters, body))

    def _match(self, request: Request) -> tuple[Route, Mapping[str, Any]]:
        """Return the route and its path parameters; API Gateway knows no 405 and no redirect, hence HTTPException."""
        return self._routes.bind_to_environ(request.environ).match()

    def _invoke(self, function: str, event: dict[str, Any]) -> Response:
        try:
            invocation = self._begun(function, event).result(timeout=MAX_WAIT_S)
            if invocation.failure:
                return _message(HTTPStatus.INTERNAL_SERVER_ERROR)
            response = response_of(invocation.payload)
        except EventTooLargeError:
            return _message(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        except (ThrottledError, NotDoneError, CancelledError):
            return _message(HTTPStatus.SERVICE_UNAVAILABLE)
        except (MalformedAnswerError, EnvironmentStartError, EmulatorError):
            return _message(HTTPStatus.INTERNAL_SERVER_ERROR)
        response.headers["apigw-requestid"] = event["requestContext"]["requestId"]
        return response

    def _begun(self, function: str, event: dict[str, Any]) -> "Future[Invocation]":
        """Have the event served; raise ThrottledError where the gateway is closed, but a connection is still open."""
        try:
            return self._threads.submit(self._functions[function].invoke, event)
        except RuntimeError as closed:
            raise ThrottledError("the gateway takes no more requests") from closed

    def close(self) -> None:
        """Take no more requests; those that run are not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _rule(route: Route) -> Rule:
    """Turn `{name}` and `{name+}` into werkzeug's notation; HEAD is no GET for API Gateway."""
    path = re.sub(r"\{(\w+)\+\}", r"<path:\1>", route.path)
    path = re.sub(r"\{(\w+)\}", r"<\1>", path)
    rule = Rule(path, endpoint=route, methods=None if route.method == "ANY" else [route.method])
    if rule.methods and route.method != "HEAD":
        rule.methods.discard("HEAD")
    return rule


def _message(status: HTTPStatus) -> Response:
    """Return API Gateway's own answer."""
    return Response(f'{{"message":"{status.phrase.title()}"}}', status, content_type="application/json")
