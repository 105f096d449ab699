"""A POST that is sent again with its Idempotency-Key, over both kinds of pool."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import text

from db.settings import Mode
from local.postgres import PostgresServer
from tests.canary import VALUE
from tests.faults.server import admin, backends, wait_until
from tests.functions.conftest import Call, Context, Reply, as_client, v2_event

ROOT = Path(__file__).parents[2]
KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"
KETTLE: dict[str, Any] = {"name": f"{VALUE} kettle", "payload": {"colour": VALUE}}
POT: dict[str, Any] = {"name": "pot", "payload": {}}
"""For a process that shows its answer: what it says is searched for values."""
BATCH: dict[str, Any] = {"items": [{"name": "a", "payload": {}}, {"name": "b", "payload": {}}]}


def count(call: Call) -> int:
    return len(call("GET", "/records").body["items"])


@pytest.mark.parametrize(("path", "body", "made"), [("/records", KETTLE, 1), ("/records/batch", BATCH, 2)])
def test_the_first_answer_comes_again(call: Call, path: str, body: dict[str, Any], made: int) -> None:
    """Status, headers and body are the same, and the work is done once."""
    first = call("POST", path, body, idempotency_key=KEY)
    assert first.status == 201
    assert call("POST", path, body, idempotency_key=KEY) == first
    assert count(call) == made


def test_the_first_answer_comes_also_when_the_record_has_changed(call: Call) -> None:
    """What is answered is what came of this request, not what is there now."""
    first = call("POST", "/records", KETTLE, idempotency_key=KEY)
    assert call("DELETE", "/records/1").status == 204
    assert call("POST", "/records", KETTLE, idempotency_key=KEY) == first
    assert count(call) == 0


def test_the_same_content_in_other_json_is_the_same_request(call: Call) -> None:
    """The order of members does not matter, at whatever depth."""
    payload, turned = {"x": {"a": 1, "b": 2}, "y": [1, 2]}, {"y": [1, 2], "x": {"b": 2, "a": 1}}
    first = call("POST", "/records", {"name": VALUE, "payload": payload}, idempotency_key=KEY)
    assert first.status == 201
    assert call("POST", "/records", {"payload": turned, "name": VALUE}, idempotency_key=KEY) == first


def test_a_list_in_another_order_is_another_request(call: Call) -> None:
    """There the order is content."""
    call("POST", "/records", {"name": "kettle", "payload": {"y": [1, 2]}}, idempotency_key=KEY)
    assert call("POST", "/records", {"name": "kettle", "payload": {"y": [2, 1]}}, idempotency_key=KEY).status == 422


def test_each_caller_has_keys_of_its_own(function: ModuleType, call: Call) -> None:
    """Another's key is neither answered with what it was used for nor refused; a role's sessions are one caller."""

    def as_user(user_id: str, name: str) -> Reply:
        event = v2_event("POST", "/records", {"name": name, "payload": {}}, idempotency_key=KEY)
        event["requestContext"]["authorizer"] = {"iam": {"userId": user_id, "cognitoIdentity": None}}
        return as_client(function.handler(event, Context()))

    first = as_user("AROAONE:session-1", "one")
    assert first.status == 201
    assert as_user("AIDATWO", "two").status == 201
    assert as_user("AROAONE:session-2", "one") == first
    assert count(call) == 2


@pytest.mark.parametrize(
    ("path", "body"), [("/records", {"name": "pot", "payload": {}}), ("/records/batch", {"items": [KETTLE]})]
)
def test_a_key_of_another_request_is_refused(call: Call, path: str, body: dict[str, Any]) -> None:
    """Neither done nor answered with what is not its own."""
    call("POST", "/records", KETTLE, idempotency_key=KEY)
    refused = call("POST", path, body, idempotency_key=KEY)
    assert refused.status == 422
    assert "Idempotency-Key" in refused.body["detail"]
    assert count(call) == 1


def test_a_refused_request_leaves_its_key_free(call: Call) -> None:
    """What was not done is tried anew: a conflict may be gone by then."""
    call("POST", "/records", KETTLE)
    assert call("POST", "/records", KETTLE, idempotency_key=KEY).status == 409
    call("DELETE", "/records/1")
    assert call("POST", "/records", KETTLE, idempotency_key=KEY).status == 201


@pytest.mark.parametrize("key", ["", "x" * 256, "with blank", "umläut"])
def test_a_key_that_is_none_is_refused(call: Call, key: str) -> None:
    """1 to 255 printable characters of ASCII."""
    assert call("POST", "/records", KETTLE, idempotency_key=key).status == 422
    assert count(call) == 0


def test_without_a_key_each_request_is_its_own(call: Call) -> None:
    """Nothing is kept that nobody asked for."""
    call("POST", "/records", KETTLE)
    assert call("POST", "/records", KETTLE).status == 409


def test_keys_past_their_time_are_swept_and_can_be_used_again(call: Call, function: ModuleType) -> None:
    """After a day a key stands for nothing, and those of others are taken away as new ones come."""
    for name in ("a", "b"):
        call("POST", "/records", {"name": name, "payload": {}}, idempotency_key=f"{KEY}-{name}")
    with function.database.autocommit() as connection:
        connection.execute(text("update idempotency_keys set created_at = now() - interval '25 hours'"))
    assert call("POST", "/records", KETTLE, idempotency_key=f"{KEY}-a").status == 201
    with function.database.autocommit() as connection:
        assert connection.scalars(text("select key from idempotency_keys")).all() == [f"{KEY}-a"]


PROGRAM = """
import json, sys
from handlers.records import handler
from tests.functions.conftest import Context
print(json.dumps(handler(json.loads(sys.argv[1]), Context())))
"""


def begin_post(server: PostgresServer, mode: Mode) -> subprocess.Popen[str]:
    """Let an environment of its own answer the request."""
    variables = {"DATABASE_URL": server.url(), "DB_TLS": "insecure-local-only", "DB_MODE": mode}
    environ = {**os.environ, "PYTHONPATH": f"src{os.pathsep}.", "DB_APPLICATION_NAME": "at-once", **variables}
    command = [sys.executable, "-c", PROGRAM, json.dumps(v2_event("POST", "/records", POT, idempotency_key=KEY))]
    return subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def test_two_requests_at_once_are_done_once(no_records: PostgresServer, connection_mode: Mode) -> None:
    """The second waits for the first, and has its answer: neither is refused, and one record is there."""
    with admin(no_records) as session:
        session.execute("begin")
        session.execute("lock table records in share mode")  # the first has its key, and cannot go on
        both = [begin_post(no_records, connection_mode) for _ in range(2)]
        wait_until(lambda: len(backends(no_records, "wait_event_type = 'Lock'")) == 2, within_s=30)
        session.execute("rollback")
    first, second = (as_client(json.loads(post.communicate()[0].splitlines()[-1])) for post in both)
    assert first.status == 201
    assert second == first
    with admin(no_records) as session:
        assert session.execute("select count(*) from records").fetchone() == (1,)
