"""What the API says, logs and measures when things go well and when they do not."""

import io
import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import Connection, text

from db import Borrow
from local.postgres import PostgresServer
from records import Draft
from tests.functions.conftest import Call, Context, as_client, v2_event

SECRET = "aubergine"


@pytest.fixture
def log(function: ModuleType, monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What the function logs."""
    stream = io.StringIO()
    monkeypatch.setattr(function.logger.registered_handler, "stream", stream)
    return stream


def repeating(connection: Connection, draft: Draft) -> None:
    """Fail with a message of the server that repeats the client's value."""
    connection.execute(text("select cast(:name as int)"), {"name": draft.name})


def test_an_unforeseen_error_is_500_with_an_id_and_nothing_else(
    call: Call,
    function: ModuleType,
    log: io.StringIO,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The log knows type, SQLSTATE and place under that id, and no value, though the server has repeated it."""
    monkeypatch.setattr(function.records, "create", repeating)
    reply = call("POST", "/records", {"name": SECRET, "payload": {}})
    assert reply.body == {"title": "Internal Server Error", "status": 500, "request_id": Context().aws_request_id}
    entry = json.loads(log.getvalue())
    assert entry["sqlstate"] == "22P02"
    assert entry["function_request_id"] == Context().aws_request_id
    assert any("repeating" in place for place in entry["places"])
    assert SECRET not in log.getvalue() + caplog.text  # nor does any library log it


def test_no_value_of_a_request_is_written_anywhere(
    call: Call, log: io.StringIO, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither when it is served nor when it is refused."""
    record = {"name": SECRET, "payload": {SECRET: SECRET}}
    statuses = [
        call("POST", "/records", record).status,
        call("POST", "/records", record).status,
        call("POST", "/records", record | {SECRET: 1}).status,
        call("POST", "/records", f'{{"{SECRET}').status,
        call("GET", "/records", query={"name_prefix": SECRET, "cursor": SECRET}).status,
        call("GET", f"/records/{SECRET}").status,
        call("GET", f"/{SECRET}").status,
    ]
    assert statuses == [201, 409, 422, 400, 400, 422, 404]
    written = capfd.readouterr()
    assert written.out.count('"ColdStart"') >= len(statuses)
    assert SECRET not in written.out + written.err + log.getvalue()


def test_an_answer_that_breaks_its_own_model_is_500(
    call: Call, function: ModuleType, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug of ours is not the client's fault, and what is wrong does not leave the house."""
    monkeypatch.setattr(function.records, "get", lambda *_: {"name": SECRET})
    assert call("GET", "/records/1").status == 500
    assert SECRET not in log.getvalue()


def test_the_connection_is_back_before_the_answer_is_made(
    function: ModuleType, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is borrowed while an answer is serialised."""
    borrowed: list[int] = []
    answer = function._answer

    def noting(*parts: Any, **headers: str) -> Any:  # noqa: ANN401 - whatever the function hands on
        borrowed.append(function.database.pool_state().borrowed)
        return answer(*parts, **headers)

    monkeypatch.setattr(function, "_answer", noting)
    assert call("POST", "/records", {"name": "kettle", "payload": {}}).status == 201
    assert call("GET", "/records/1").status == 200
    assert borrowed == [0, 0]


def test_each_request_borrows_once(call: Call, function: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what is refused before the database is needed borrows nothing."""
    borrows: list[Borrow] = []
    monkeypatch.setattr(function.database.observer, "borrowed", borrows.append)
    call("POST", "/records", {"name": "kettle", "payload": {}})
    call("GET", "/records")
    assert len(borrows) == 2
    call("POST", "/records", {"name": 1})
    call("GET", "/records", query={"cursor": "x"})
    call("PUT", "/records/1", {"name": "kettle", "payload": {}})
    assert len(borrows) == 2


def test_an_event_that_is_none_of_api_gateway_is_told_so(function: ModuleType) -> None:
    """An event of another source gets 400, not a stack trace."""
    events: list[dict[str, Any]] = [{}, {"Records": []}, {"version": "2.0"}, {"httpMethod": "GET"}]
    for event in events:
        assert as_client(function.handler(event, Context())).status == 400


@pytest.mark.parametrize("headers", [None, {}])
def test_an_event_without_headers_is_served(function: ModuleType, headers: dict[str, str] | None) -> None:
    """As the console's test button sends it."""
    event = v2_event("GET", "/records") | {"headers": headers, "queryStringParameters": None}
    assert as_client(function.handler(event, Context())).status == 200


def test_other_methods_are_refused_with_those_that_are_allowed(call: Call) -> None:
    """405 with Allow on each path."""
    allowed = {"/records": "GET, POST", "/records/batch": "POST", "/records/1": "DELETE, GET, PUT"}
    for path, methods in allowed.items():
        reply = call("PATCH", path)
        assert (reply.status, reply.headers["allow"]) == (405, methods)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the page's own files stay open
def test_the_api_describes_itself_on_a_developers_machine(
    fresh: Callable[..., ModuleType], no_records: PostgresServer
) -> None:
    """OpenAPI at /openapi.json, readable at /docs."""
    local = {"DATABASE_URL": no_records.url(), "DB_TLS": "insecure-local-only", "AWS_SAM_LOCAL": "true"}
    function = fresh("records", **local)
    document = as_client(function.handler(v2_event("GET", "/openapi.json"), Context()))
    assert document.status == 200
    refused = document.body["paths"]["/records"]["post"]["responses"]["422"]["content"]
    assert refused["application/problem+json"]["schema"]["$ref"].endswith("ProblemDetails")
    page = as_client(function.handler(v2_event("GET", "/docs"), Context()))
    assert (page.status, "swagger" in page.body) == (200, True)


def test_the_api_does_not_describe_itself_in_lambda(call: Call) -> None:
    """Nobody has asked for it there."""
    assert call("GET", "/docs").status == 404
    assert call("GET", "/openapi.json").status == 404


def test_a_wrong_setting_ends_the_start_with_its_name(fresh: Callable[..., Any]) -> None:
    """Typed, and before the first request."""
    from db import ConfigurationError

    with pytest.raises(ConfigurationError, match="DB_POOL_SIZE"):
        fresh("records", DATABASE_URL="postgresql://u@h/d", DB_POOL_SIZE="many")


def test_a_write_survives_the_loss_of_its_connection(
    call: Call, function: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends the session after the insert; the client reads 201, and the row is there once."""
    create, attempts = function.records.create, iter([1, 2])

    def losing(connection: Connection, draft: Draft) -> Any:  # noqa: ANN401 - whatever the function returns
        record = create(connection, draft)
        if next(attempts) == 1:
            connection.execute(text("select pg_terminate_backend(pg_backend_pid())"))
        return record

    monkeypatch.setattr(function.records, "create", losing)
    assert call("POST", "/records", {"name": "kettle", "payload": {}}).status == 201
    assert list(attempts) == []
    assert [item["name"] for item in call("GET", "/records").body["items"]] == ["kettle"]
