"""A POST that is sent again with its Idempotency-Key, over both kinds of pool."""

from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import text

from tests.integration.conftest import Call

KEY = "8e03978e-40d5-43dd-bc93-6894a57f9324"
KETTLE: dict[str, Any] = {"name": "kettle", "payload": {"colour": "red"}}
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
    """The order of fields does not matter."""
    first = call("POST", "/records", {"name": "kettle", "payload": {}}, idempotency_key=KEY)
    assert call("POST", "/records", {"payload": {}, "name": "kettle"}, idempotency_key=KEY) == first


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
