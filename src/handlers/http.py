"""An API over API Gateway: one set of routes for HTTP API (v2) and REST API (v1) events, one way to refuse.

Knows nothing of what the routes do. The events:
https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

import json
from functools import cached_property, partial
from http import HTTPStatus
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.api_gateway import ApiGatewayResolver, Router
from aws_lambda_powertools.utilities.typing import LambdaContext

from db import is_local
from handlers.admission import admitted, parse_object
from handlers.problems import CONTENT_TYPE, Problem, problem_for, record_of
from handlers.refusals import RefusedError, malformed

METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


class Api:
    """Routes as a Lambda handler: whatever happens inside, the client gets an answer."""

    def __init__(self, router: Router, logger: Logger, *, validated: bool) -> None:
        """Serve `router`, which has its routes; `validated` checks requests and answers, and costs pydantic.

        What the deployed kind of API needs is built at once, validators included: INIT has the whole processor, an
        invocation its share.
        """
        self._router = router
        self._logger = logger
        self._validated = validated
        self._request_id = ""
        deployed = self._http_v2
        if validated:
            _build_validators(deployed)

    def __call__(self, event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Return the answer in the form that API Gateway expects."""
        self._request_id = context.aws_request_id
        try:
            return self._resolver(event).resolve(admitted(event), context)
        except Exception as error:  # noqa: BLE001 - the outermost edge: an API answers
            return _outside_resolver(self._problem(error))

    def _resolver(self, event: object) -> ApiGatewayResolver:
        """Return the resolver for this form of event; REST's is built when the first of its kind comes."""
        if isinstance(event, dict) and event.get("version") == "2.0" and "rawPath" in event:
            return self._http_v2
        if isinstance(event, dict) and "httpMethod" in event and "path" in event:
            return self._rest_v1
        raise malformed("event", "is neither of an HTTP API (payload 2.0) nor of a REST API (payload 1.0)")

    @cached_property
    def _http_v2(self) -> ApiGatewayResolver:
        return self._with_routes(APIGatewayHttpResolver)

    @cached_property
    def _rest_v1(self) -> ApiGatewayResolver:
        return self._with_routes(APIGatewayRestResolver)

    def _with_routes(self, kind: type[APIGatewayHttpResolver | APIGatewayRestResolver]) -> ApiGatewayResolver:
        resolver = kind(
            enable_validation=self._validated,
            json_body_deserializer=parse_object,
            serializer=partial(json.dumps, separators=(",", ":"), ensure_ascii=False),
            debug=False,
        )
        resolver.include_router(self._router)
        resolver.exception_handler(Exception)(self._refuse)
        if self._validated and is_local():
            from handlers.documentation import serve_documentation  # noqa: PLC0415 - on a developer's machine only

            serve_documentation(resolver)
        return resolver

    def _refuse(self, error: Exception) -> Response[str]:
        problem = self._problem(error)
        return Response(problem.status, CONTENT_TYPE, problem.body(), dict(problem.headers))

    def _problem(self, error: Exception) -> Problem:
        problem = problem_for(error, self._request_id)
        if problem.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self._logger.error("request failed", status=problem.status, **record_of(error))
        return problem


def _build_validators(resolver: ApiGatewayResolver) -> None:
    """Build what validates requests and answers of each route, as the first request of a route would."""
    for route in resolver._static_routes + resolver._dynamic_routes:  # noqa: SLF001 - a test counts what is built later
        if route.include_in_schema:
            _ = route.dependant


def _outside_resolver(problem: Problem) -> dict[str, Any]:
    """Return the answer where no resolver has taken the event: this form suits both kinds of API."""
    headers = {"Content-Type": CONTENT_TYPE, **problem.headers}
    return {"statusCode": problem.status, "headers": headers, "body": problem.body(), "isBase64Encoded": False}


def allow_only(router: Router, path: str, *methods: str) -> None:
    """Answer 405 with Allow to every method of `path` but these, which its routes serve."""

    @router.route(path, sorted(METHODS.difference(methods)), include_in_schema=False, enable_validation=False)
    def refuse(**_: str) -> None:
        raise RefusedError(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": ", ".join(methods)})
