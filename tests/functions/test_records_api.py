"""The records API on a real PostgreSQL, over both kinds of pool."""

import json
from types import ModuleType
from typing import Any

import pytest

from tests.canary import VALUE
from tests.functions.conftest import Call, Context, Reply, v2_event

KETTLE, RED = f"{VALUE} kettle", f"{VALUE} red"


def create(call: Call, name: str, **payload: Any) -> Reply:  # noqa: ANN401 - JSON
    reply = call("POST", "/records", {"name": name, "payload": payload})
    assert reply.status == 201, reply
    return reply


def test_a_created_record_can_be_read_where_its_location_says(call: Call) -> None:
    """What was sent comes back, with id, version and times."""
    created = create(call, KETTLE, colour=RED)
    assert created.headers["location"] == "records/1"
    assert created.headers["etag"] == '"1"'
    read = call("GET", "/records/1")
    assert read.status == 200
    assert read.body == created.body
    assert read.body | {"created_at": "", "updated_at": ""} == {
        "id": 1,
        "name": KETTLE,
        "payload": {"colour": RED},
        "version": 1,
        "created_at": "",
        "updated_at": "",
    }


def test_a_name_is_given_once(call: Call) -> None:
    """A duplicate is a conflict, and the connection serves on."""
    create(call, KETTLE)
    assert call("POST", "/records", {"name": KETTLE, "payload": {}}).status == 409
    assert call("GET", "/records/1").status == 200


def test_what_is_not_there_is_not_found(call: Call) -> None:
    """By each route that names a record."""
    new = {"name": KETTLE, "payload": {}}
    assert call("GET", "/records/7").status == 404
    assert call("PUT", "/records/7", new, if_match='"1"').status == 404
    assert call("DELETE", "/records/7").status == 404
    assert call("GET", "/nowhere").status == 404


def test_many_are_created_together_in_their_order(call: Call) -> None:
    """Five hundred in one request."""
    names = [f"item {number:03}" for number in range(500)]
    reply = call("POST", "/records/batch", {"items": [{"name": name, "payload": {}} for name in reversed(names)]})
    assert reply.status == 201
    assert [item["name"] for item in reply.body["items"]] == names[::-1]
    assert [item["id"] for item in reply.body["items"]] == list(range(1, 501))


def test_many_are_created_together_or_not_at_all(call: Call) -> None:
    """One duplicate leaves none of them."""
    twice = {"name": "twice", "payload": {}}
    reply = call("POST", "/records/batch", {"items": [{"name": "once", "payload": {}}, twice, twice]})
    assert reply.status == 409
    assert call("GET", "/records").body["items"] == []


def test_pages_list_every_record_once_in_order(call: Call) -> None:
    """Turning pages of each size meets all names, by code point."""
    names = ["A", "B", "a", "a%", "a_", "ab", "b", "é", "日本", "😀"]
    for name in reversed(names):
        create(call, name)
    for limit in (1, 3, 9, 10, 100):
        assert turned(call, limit=str(limit)) == names


def test_a_prefix_is_text_and_no_pattern(call: Call) -> None:
    """LIKE's wildcards and the escape character mean themselves."""
    for name in ("a%b", "a_b", "a/b", "a\\b", "axb", "b"):
        create(call, name)
    assert turned(call, limit="1", name_prefix="a%") == ["a%b"]
    assert turned(call, limit="1", name_prefix="a_") == ["a_b"]
    assert turned(call, limit="1", name_prefix="a/") == ["a/b"]
    assert turned(call, limit="1", name_prefix="a\\") == ["a\\b"]
    assert turned(call, limit="2", name_prefix="a") == ["a%b", "a/b", "a\\b", "a_b", "axb"]


def test_the_largest_page_is_one_that_lambda_answers(function: ModuleType, call: Call) -> None:
    """Full of what JSON writes longest, twice encoded as on its way out of Python 3.13's runtime: below 6 MB."""
    for first in range(100):
        payload = {"text": "\\" * 8_180, "x": "é"}
        assert call("POST", "/records", {"name": f"{first:03}" + "😀" * 197, "payload": payload}).status == 201
    answer = function.handler(v2_event("GET", "/records", query={"limit": "100"}), Context())
    assert answer["statusCode"] == 200
    assert 3_000_000 < len(json.dumps(answer, ensure_ascii=False).encode()) < 6 * 1024 * 1024


def turned(call: Call, **query: str) -> list[str]:
    """Return the names on all pages."""
    names: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        reply = call("GET", "/records", query={**query, **cursor})
        assert reply.status == 200, reply
        assert len(reply.body["items"]) <= int(query["limit"])
        names += [item["name"] for item in reply.body["items"]]
        if reply.body["next_cursor"] is None:
            return names
        cursor = {"cursor": reply.body["next_cursor"]}


def test_a_cursor_serves_the_filter_it_was_made_for(call: Call) -> None:
    """With another prefix it is refused, not misread."""
    for name in ("a1", "a2"):
        create(call, name)
    cursor = call("GET", "/records", query={"limit": "1", "name_prefix": "a"}).body["next_cursor"]
    assert call("GET", "/records", query={"cursor": cursor}).status == 400
    assert call("GET", "/records", query={"cursor": cursor, "name_prefix": "a"}).status == 200


def test_a_replacement_needs_the_version_that_is_there(call: Call) -> None:
    """The first of two that read the same version wins; the other is told."""
    create(call, KETTLE, colour=RED)
    first = call("PUT", "/records/1", {"name": KETTLE, "payload": {"colour": "blue"}}, if_match='"1"')
    second = call("PUT", "/records/1", {"name": KETTLE, "payload": {"colour": "green"}}, if_match='"1"')
    assert (first.status, first.headers["etag"], second.status) == (200, '"2"', 412)
    assert call("GET", "/records/1").body["payload"] == {"colour": "blue"}
    assert first.body["updated_at"] > first.body["created_at"]


def test_a_replacement_without_a_version_is_refused(call: Call) -> None:
    """428: nobody overwrites what they have not read."""
    create(call, KETTLE)
    assert call("PUT", "/records/1", {"name": "pot", "payload": {}}).status == 428


@pytest.mark.parametrize(
    "etag", ["*", "1", 'W/"1"', '"1", "2"', '"0"', '"x"', '"99999999999"', '"4294967296"', '"1\0"']
)
def test_what_is_no_etag_of_ours_is_refused(call: Call, etag: str) -> None:
    """400 or 422 with the field, and nothing is changed."""
    create(call, KETTLE)
    reply = call("PUT", "/records/1", {"name": "pot", "payload": {}}, if_match=etag)
    assert reply.status in {400, 422}
    assert "if-match" in reply.body["errors"][0]["field"]


def test_a_rename_to_a_taken_name_is_a_conflict(call: Call) -> None:
    """And leaves both as they were."""
    create(call, KETTLE)
    create(call, "pot")
    assert call("PUT", "/records/2", {"name": KETTLE, "payload": {}}, if_match='"1"').status == 409
    assert call("GET", "/records/2").body["name"] == "pot"


def test_a_deleted_record_is_gone(call: Call) -> None:
    """204 without a body, then 404; with If-Match only the version that was read."""
    create(call, KETTLE)
    assert call("DELETE", "/records/1", if_match='"2"').status == 412
    deleted = call("DELETE", "/records/1", if_match='"1"')
    assert (deleted.status, deleted.body) == (204, None)
    assert call("GET", "/records/1").status == 404


def test_whole_numbers_and_texts_come_back_as_they_were_sent(call: Call) -> None:
    """Also where JSON's usual readers stumble; of fractions, those that a double has."""
    payload = {"int": 2**80, "negative": -(2**63), "float": 0.1, "text": "é\u2028😀\x01", "": None}
    assert create(call, "values", **payload).body["payload"] == payload
    assert call("GET", "/records/1").body["payload"] == payload


def test_a_fraction_is_the_nearest_that_a_double_can_be(call: Call) -> None:
    """As RFC 8259, 6, tells whoever sends one to expect; whole numbers keep every digit."""
    body = '{"name": "values", "payload": {"fraction": 12345678901234567.25, "tiny": 1e-400}}'
    created = call("POST", "/records", body)
    assert created.body["payload"] == {"fraction": float("12345678901234567.25"), "tiny": 0.0}
    assert call("GET", "/records/1").body == created.body


def test_a_number_that_is_written_otherwise_is_the_same_number(call: Call) -> None:
    """`jsonb` writes exponents out."""
    assert float(create(call, "values", large=1e300).body["payload"]["large"]) == 1e300
