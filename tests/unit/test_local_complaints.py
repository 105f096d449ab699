"""What a person reads under a request that went wrong."""

import json
from typing import Any

import pytest

from local.complaints import SOURCES, complaints_of, went_wrong
from local.environment import Invocation


def invocation(payload: Any = None, failure: str | None = None, *log: str) -> Invocation:  # noqa: ANN401 - any JSON
    return Invocation(environment=1, is_cold=True, duration_ms=1, payload=payload, failure=failure, log=log)


@pytest.mark.parametrize(
    ("payload", "failure", "wrong"),
    [
        ({"statusCode": 500}, None, True),
        ({"statusCode": "503"}, None, True),
        ({"statusCode": 499}, None, False),
        ({"statusCode": "?"}, None, False),
        ({"warnings": []}, None, False),
        (None, None, False),
        (None, "Sandbox.Failure", True),
        ({"errorMessage": "no"}, "ValueError", True),
    ],
)
def test_what_went_wrong_is_a_failure_or_500_and_above(payload: Any, failure: str | None, wrong: bool) -> None:  # noqa: ANN401, FBT001 - a table
    """Whatever form the answer has."""
    assert went_wrong(invocation(payload, failure)) is wrong


def test_an_error_record_is_one_line() -> None:
    """What, why, and where in our own sources; not what is no error, nor the libraries' places."""
    places = [
        f"{SOURCES}/handlers/records.py:78 get",
        "/lib/x.py:1 f",
        f"{SOURCES}/db/a.py:2 g",
        f"{SOURCES}/db/b.py:3 h",
    ]
    error = {
        "error": ["SecretError", "OSError"],
        "reason": "secret x cannot be read",
        "places": places,
        "sqlstate": None,
    }
    record = {"level": "ERROR", "message": "request failed", **error}
    log = (json.dumps(record), json.dumps({**record, "level": "INFO"}), "{no json", json.dumps({"_aws": {}}), "REPORT")
    (line,) = complaints_of(invocation({"statusCode": 503}, None, *log))
    what, _, where = line.rpartition(", at ")
    assert what == "request failed: SecretError from OSError: secret x cannot be read"
    assert where == "src/handlers/records.py:78 get … src/db/b.py:3 h"


def test_a_logged_exception_ends_with_its_last_line() -> None:
    """A handler's own `logger.exception`; PostgreSQL's code is said where there is one."""
    record = {"level": "ERROR", "message": "oh", "exception": "Traceback:\nValueError: no", "sqlstate": "42P01"}
    assert complaints_of(invocation(None, None, json.dumps(record))) == ["oh: ValueError: no (SQLSTATE 42P01)"]


def test_lambdas_description_of_a_failure_is_the_last_line() -> None:
    """Its type, its message, and the innermost frame."""
    described = {
        "errorMessage": "DB_MODE must be",
        "stackTrace": ['  File "a.py", line 1\n    f()\n', '  File "b.py"\n'],
    }
    assert complaints_of(invocation(described, "ConfigurationError")) == [
        'ConfigurationError: DB_MODE must be, at File "b.py"'
    ]
    assert complaints_of(invocation(None, "Sandbox.Failure")) == ["Sandbox.Failure: no answer came"]
