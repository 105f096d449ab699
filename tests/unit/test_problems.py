"""The table from error to answer, row by row."""

import inspect
import json
from http import HTTPStatus

import pytest
from aws_lambda_powertools.event_handler.exceptions import NotFoundError as NoRouteError

import db
from handlers.problems import problem_for, record_of
from handlers.refusals import Flaw, RefusedError, malformed, unacceptable
from records import DuplicateNameError, KeyReusedError, NotAllowedError, NotFoundError, StaleVersionError

UNAVAILABLE = [kind for _, kind in inspect.getmembers(db, inspect.isclass) if issubclass(kind, db.UnavailableError)]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NoRouteError(), 404),
        (NotFoundError("x"), 404),
        (DuplicateNameError("x"), 409),
        (StaleVersionError("x"), 412),
        (NotAllowedError("x"), 422),
        (malformed("body", "x"), 400),
        (unacceptable("body", "x"), 422),
        (db.ConfigurationError("x"), 500),
        (db.NestedBorrowError("x"), 500),
        (ValueError("x"), 500),
    ],
    ids=lambda part: type(part).__name__,
)
def test_each_error_has_its_status(error: Exception, status: int) -> None:
    """The nearest class decides."""
    problem = problem_for(error, "id")
    assert problem.status == status
    assert json.loads(problem.body())["request_id"] == "id"


@pytest.mark.parametrize(
    ("error", "field"), [(NotAllowedError("x"), "body"), (KeyReusedError("x"), "header.idempotency-key")]
)
def test_what_the_records_refuse_has_a_field(error: Exception, field: str) -> None:
    """As every other 422."""
    assert json.loads(problem_for(error, "id").body())["errors"] == [{"field": field, "reason": "x"}]


@pytest.mark.parametrize(
    ("status", "title"), [(413, "Content Too Large"), (422, "Unprocessable Content"), (409, "Conflict")]
)
def test_a_title_is_the_same_under_each_python(status: int, title: str) -> None:
    """RFC 9110's, which the runtime's Python has."""
    problem = problem_for(RefusedError(HTTPStatus(status), Flaw("body", "x")), "id")
    assert json.loads(problem.body())["title"] == title


def test_a_field_as_long_as_the_body_is_shortened() -> None:
    """Its beginning tells which it is."""
    (flaw,) = problem_for(unacceptable("body." + "é" * 500_000, "x"), "id").flaws
    assert flaw.field == "body." + "é" * 194 + "…"


@pytest.mark.parametrize("kind", UNAVAILABLE)
def test_what_may_pass_says_when_to_come_back(kind: type[db.UnavailableError]) -> None:
    """503 with Retry-After, and nothing of what is wrong in here."""
    problem = problem_for(kind("secret orders/db has no field 'host'"), "id")
    assert (problem.status, problem.headers) == (503, {"Retry-After": str(kind.retry_after_s)})
    assert "secret" not in problem.body()


@pytest.mark.parametrize("error", [db.ConfigurationError("DB_X"), RuntimeError("aubergine")])
def test_a_fault_of_ours_says_nothing(error: Exception) -> None:
    """500, the id, and nothing else."""
    assert json.loads(problem_for(error, "id").body()) == {
        "title": "Internal Server Error",
        "status": 500,
        "request_id": "id",
    }


def test_a_change_of_unknown_outcome_is_said_to_be_one() -> None:
    """Not "try again": the client must look first."""
    assert "not known" in str(problem_for(db.CommitUnknownError(7), "id").detail)


def raised_from(error: Exception, cause: Exception) -> Exception:
    try:
        raise error from cause
    except type(error) as caught:
        return caught


def test_the_log_knows_our_words_and_nobody_elses() -> None:
    """The chain of types, our own message with kind, the places; of the cause's message nothing."""
    known = record_of(raised_from(db.SaturatedError("no slot is left"), ValueError("aubergine")))
    assert known["error"] == ["SaturatedError", "ValueError"]
    assert (known["kind"], known["reason"]) == ("saturated", "no slot is left")
    assert any("raised_from" in place for place in known["places"])
    assert "aubergine" not in json.dumps(known)
