"""The OpenAPI document: of a route's answers the model where it serves, problem details where it refuses.

It has the models of what is answered whatever the table: health, and problem details.
"""

from http import HTTPStatus
from typing import Any, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import ApiGatewayResolver
from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse
from pydantic import BaseModel

from handlers.problems import CONTENT_TYPE
from handlers.refusals import Flaw

OF_ANY_ROUTE = (HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE)
OF_A_BODY = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)


class Pool(BaseModel):
    """What an environment's pool holds at a moment."""

    kind: Literal["QueuePool", "NullPool"]
    size: int
    """How many connections it may keep."""
    idle: int
    borrowed: int


class Health(BaseModel):
    """That the database answers."""

    status: Literal["ok"]
    answered_ms: float
    pool: Pool


class ProblemDetails(BaseModel):
    """Why a request was not served (RFC 9457)."""

    title: str
    status: int
    detail: str | None = None
    errors: list[Flaw] = []
    request_id: str


def answers(status: HTTPStatus, model: Any, *refusals: HTTPStatus) -> dict[int, OpenAPIResponse]:  # noqa: ANN401 - any type that pydantic knows
    """Return the answers of a route: `model` (None for no body) with `status`, and why it may refuse."""
    served: OpenAPIResponse = {
        "description": status.phrase,
        "content": {} if model is None else {"application/json": {"model": model}},  # without it Powertools says JSON
    }
    return {status.value: served, **{refusal.value: _refusal(refusal) for refusal in (*refusals, *OF_ANY_ROUTE)}}


def _refusal(status: HTTPStatus) -> OpenAPIResponse:
    return {"description": status.phrase, "content": {CONTENT_TYPE: {"model": ProblemDetails}}}


def serve_documentation(resolver: ApiGatewayResolver) -> None:
    """Serve the OpenAPI document of the whole API, and a page that shows it; on a developer's machine only.

    The health function has no pydantic to describe itself with, so its route is described here.
    """
    from handlers.health import health  # noqa: PLC0415 - a function of its own, with an API that it makes

    title, version = "Slotwise", "1"
    resolver.get("/health", responses=answers(HTTPStatus.OK, Health))(health)
    resolver.enable_swagger(path="/docs", title=title, version=version)

    @resolver.get("/openapi.json", include_in_schema=False, enable_validation=False)
    def document() -> Response[str]:
        return Response(200, "application/json", resolver.get_openapi_json_schema(title=title, version=version))
