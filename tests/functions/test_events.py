"""The sample events: every one, in the order of events/index.json, gets the answer that the index promises."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from local.postgres import PostgresServer
from tests.functions.conftest import Context, Reply, as_client, v2_event

EVENTS = Path(__file__).parents[2] / "events"
INDEX: list[dict[str, Any]] = json.loads((EVENTS / "index.json").read_text())


@pytest.fixture
def functions(fresh: Callable[..., ModuleType], no_records: PostgresServer, pool_size: int) -> dict[str, ModuleType]:
    """All functions in one environment, by the directory of their events."""
    variables = {"DATABASE_URL": no_records.url(), "DB_TLS": "insecure-local-only", "DB_POOL_SIZE": str(pool_size)}
    health = fresh("health", **variables)
    import handlers.monitor
    import handlers.provision
    import handlers.records

    return {
        "health": health,
        "monitor": handlers.monitor,
        "provision": handlers.provision,
        "records": handlers.records,
    }


def test_the_samples_are_answered_as_the_index_says(functions: dict[str, ModuleType]) -> None:
    """Good and bad ones, through HTTP API and REST API; a refusal says what is wrong, and its id in the log."""
    for sample in INDEX:
        event = json.loads((EVENTS / sample["event"]).read_text())
        answer = functions[Path(sample["event"]).parent.name].handler(event, Context())
        if sample["status"] is None:
            continue
        reply = as_client(answer)
        assert reply.status == sample["status"], (sample, reply)
        if reply.status >= 400:
            assert_problem(reply)


def assert_problem(reply: Reply) -> None:
    """RFC 9457, with errors by field where a field is to blame."""
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.body["status"] == reply.status
    assert reply.body["request_id"] == Context().aws_request_id
    assert reply.body.get("errors") or reply.status in {404, 405, 409, 412}


def test_the_document_foretells_every_answer(fresh: Callable[..., ModuleType], no_records: PostgresServer) -> None:
    """Whatever status a sample gets from a route, the OpenAPI document names it there."""
    variables = {"DATABASE_URL": no_records.url(), "DB_TLS": "insecure-local-only", "AWS_SAM_LOCAL": "true"}
    function = fresh("records", **variables)
    paths = as_client(function.handler(v2_event("GET", "/openapi.json"), Context())).body["paths"]
    for sample in (sample for sample in INDEX if sample["status"] != 405):
        event = json.loads((EVENTS / sample["event"]).read_text())
        method, _, path = event.get("routeKey", f"{event.get('httpMethod')} {event.get('resource')}").partition(" ")
        if path in paths:
            assert str(sample["status"]) in paths[path][method.lower()]["responses"], sample


def test_the_index_names_every_sample_once() -> None:
    """No event lies about that nobody invokes."""
    files = sorted(str(path.relative_to(EVENTS)) for path in EVENTS.glob("*/*.json"))
    assert sorted(sample["event"] for sample in INDEX) == files
