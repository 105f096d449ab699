"""The one table from error to answer, and what the log may know of an error. Knows nothing of routes.

Answers are problem details (RFC 9457). A client reads what it can change; of what went wrong in here it reads only that
it may try again, or the id under which the log knows more. Neither the answer nor the log holds a value of a request.
"""

import json
from dataclasses import asdict, dataclass, field, replace
from http import HTTPStatus
from traceback import extract_tb
from typing import Any

from aws_lambda_powertools.event_handler.exceptions import NotFoundError as NoRouteError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError

from db import CommitUnknownError, SlotwiseError, UnavailableError, sqlstate
from db.errors import causes
from handlers.refusals import Flaw, RefusedError
from records.errors import (
    DuplicateNameError,
    KeyReusedError,
    NotAllowedError,
    NotFoundError,
    RecordsError,
    StaleVersionError,
)

CONTENT_TYPE = "application/problem+json"
MAX_FLAWS = 20
"""Flaws that an answer names: a body has room for 100,000, and to name them all takes more than Lambda answers."""
MAX_TEXT_LENGTH = 200
"""Characters of a flaw's field and of its reason: a field's name may be as long as the body."""

TITLES = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Content Too Large",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Unprocessable Content",
}
"""RFC 9110's names, as Python 3.13 has them: older Pythons have HTTP's older ones."""

STATUS_BY_TYPE: dict[type[Exception], HTTPStatus] = {
    NoRouteError: HTTPStatus.NOT_FOUND,
    RequestValidationError: HTTPStatus.UNPROCESSABLE_ENTITY,
    NotFoundError: HTTPStatus.NOT_FOUND,
    DuplicateNameError: HTTPStatus.CONFLICT,
    KeyReusedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    NotAllowedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    StaleVersionError: HTTPStatus.PRECONDITION_FAILED,
    UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""The nearest class of an error decides; what is not here, and brings no status of its own, is 500."""

FIELD_BY_TYPE: dict[type[Exception], str] = {
    NotAllowedError: "body",  # which of many records it was, PostgreSQL does not say
    KeyReusedError: "header.idempotency-key",
}
"""What of the request is to blame for what the records refuse."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An answer to a request that was not served."""

    status: HTTPStatus
    request_id: str
    detail: str | None = None
    flaws: tuple[Flaw, ...] = ()
    headers: dict[str, str] = field(default_factory=dict)

    def body(self) -> str:
        """Return the problem details as JSON."""
        content: dict[str, Any] = {"title": TITLES.get(self.status, self.status.phrase), "status": self.status}
        if self.detail:
            content["detail"] = self.detail
        if self.flaws:
            content["errors"] = [asdict(flaw) for flaw in self.flaws]
        return json.dumps({**content, "request_id": self.request_id})


def problem_for(error: Exception, request_id: str) -> Problem:
    """Return the answer to a request that ended with `error`."""
    flaws = _flaws(error)
    return Problem(
        status=_status(error),
        request_id=request_id,
        detail=_detail(error) or _rest(flaws),
        flaws=tuple(map(_shortened, flaws[:MAX_FLAWS])),
        headers=_headers(error),
    )


def _status(error: Exception) -> HTTPStatus:
    if isinstance(error, RefusedError):
        return error.status
    if _is_about_the_answer(error):
        return HTTPStatus.INTERNAL_SERVER_ERROR
    found = (STATUS_BY_TYPE[kind] for kind in type(error).__mro__ if kind in STATUS_BY_TYPE)
    return next(found, HTTPStatus.INTERNAL_SERVER_ERROR)


def _is_about_the_answer(error: Exception) -> bool:
    """Say whether it is our answer that breaks its model: Powertools raises the same error as for a request."""
    return isinstance(error, RequestValidationError) and any(flaw["loc"][0] == "response" for flaw in error.errors())


def _detail(error: Exception) -> str | None:
    if isinstance(error, RecordsError):
        return str(error)
    if isinstance(error, CommitUnknownError):
        return "it is not known whether the change was made: look before you try again"
    return "the database cannot be had now: try again" if isinstance(error, UnavailableError) else None


def _rest(flaws: tuple[Flaw, ...]) -> str | None:
    """Say how many flaws there are where the answer does not name them all."""
    return f"{len(flaws)} errors, of which these are the first {MAX_FLAWS}" if len(flaws) > MAX_FLAWS else None


def _shortened(flaw: Flaw) -> Flaw:
    return replace(flaw, field=_start(flaw.field), reason=_start(flaw.reason))


def _start(text: str) -> str:
    return text if len(text) <= MAX_TEXT_LENGTH else f"{text[: MAX_TEXT_LENGTH - 1]}…"


def _flaws(error: Exception) -> tuple[Flaw, ...]:
    if isinstance(error, RefusedError):
        return error.flaws
    if type(error) in FIELD_BY_TYPE:
        return (Flaw(FIELD_BY_TYPE[type(error)], str(error)),)
    if isinstance(error, RequestValidationError) and not _is_about_the_answer(error):
        return tuple(Flaw(".".join(map(str, flaw["loc"])), flaw["msg"]) for flaw in error.errors())
    return ()


def _headers(error: Exception) -> dict[str, str]:
    if isinstance(error, UnavailableError):
        return {"Retry-After": str(error.retry_after_s)}
    return error.headers if isinstance(error, RefusedError) else {}


def record_of(error: Exception) -> dict[str, Any]:
    """Return what the log may know: types, SQLSTATE, kind and places; of messages only our own, which hold no value."""
    chain = list(causes(error))
    return {
        "error": [type(link).__qualname__ for link in chain],
        "kind": next((link.kind for link in chain if isinstance(link, SlotwiseError)), None),
        "reason": next((str(link) for link in chain if isinstance(link, SlotwiseError)), None),
        "sqlstate": next(filter(None, map(sqlstate, chain)), None),
        "places": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in extract_tb(error.__traceback__)],
    }
