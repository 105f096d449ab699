"""What the OpenAPI document says of a route's answers: the model where it serves, problem details where it refuses."""

from http import HTTPStatus
from typing import Any

from aws_lambda_powertools.event_handler.openapi.types import OpenAPIResponse

from handlers.models import ProblemDetails
from handlers.problems import CONTENT_TYPE

OF_ANY_ROUTE = (HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.SERVICE_UNAVAILABLE)
OF_A_BODY = (HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)


def answers(status: HTTPStatus, model: Any, *refusals: HTTPStatus) -> dict[int, OpenAPIResponse]:  # noqa: ANN401 - any type that pydantic knows
    """Return the answers of a route: `model` (None for no body) with `status`, and why it may refuse."""
    served: OpenAPIResponse = {
        "description": status.phrase,
        "content": {} if model is None else {"application/json": {"model": model}},  # without it Powertools says JSON
    }
    return {status.value: served, **{refusal.value: _refusal(refusal) for refusal in (*refusals, *OF_ANY_ROUTE)}}


def _refusal(status: HTTPStatus) -> OpenAPIResponse:
    return {"description": status.phrase, "content": {CONTENT_TYPE: {"model": ProblemDetails}}}
