"""Whatever a client sends is answered, with field and reason, and never with 500."""

import json
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handlers.admission import MAX_BODY_BYTES
from handlers.problems import MAX_FLAWS
from tests.functions.conftest import Call, Context, Reply, as_client, v1_event, v2_event

DEEP = '{"name": "deep", "payload": ' + '{"a":' * 200 + "1" + "}" * 200 + "}"
DEEPER = '{"name": "deep", "payload": ' + "[" * 200_000 + "]" * 200_000 + "}"


@pytest.fixture(params=[v2_event, v1_event], ids=["HTTP API", "REST API"])
def call(request: pytest.FixtureRequest, function: ModuleType) -> Call:
    """The records API, called by each kind of API Gateway."""

    def send(method: str, path: str, body: Any = None, **parts: Any) -> Reply:  # noqa: ANN401 - JSON
        return as_client(function.handler(request.param(method, path, body, **parts), Context()))

    return send


BODIES: list[tuple[Any, int, str]] = [
    ("", 422, "body"),
    ("{", 400, "body"),
    ("[]", 422, "body"),
    ('[{"name": "x", "payload": {}}]', 422, "body"),
    ("null", 422, "body"),
    ('"x"', 422, "body"),
    ('{"name": "x", "payload": {"n": NaN}}', 400, "body"),
    ('{"name": "x", "payload": {"n": -Infinity}}', 400, "body"),
    ('{"name": "x", "payload": {"n": 1e999}}', 422, "body"),
    ('{"name": "x", "payload": {"n": ' + "9" * 5000 + "}}", 422, "body"),
    ('{"name": "x", "payload": {"t": "\\ud800"}}', 422, "body.payload.t"),
    ('{"name": "x", "payload": {"t": ["a", "\\u0000"]}}', 422, "body.payload.t.1"),
    ('{"name": "x", "payload": {"\\u0000": 1}}', 422, "body.payload"),
    ('{"name": "\\u0000", "payload": {}}', 422, "body.name"),
    ('{"name": "\\udc00", "payload": {}}', 422, "body.name"),
    (DEEP, 422, "body"),
    (DEEPER, 422, "body"),
    ({"name": "", "payload": {}}, 422, "body.name"),
    ({"name": "x" * 201, "payload": {}}, 422, "body.name"),
    ({"name": None, "payload": {}}, 422, "body.name"),
    ({"name": True, "payload": {}}, 422, "body.name"),
    ({"name": "x"}, 422, "body.payload"),
    ({"name": "x", "payload": []}, 422, "body.payload"),
    ({"name": "x", "payload": "{}"}, 422, "body.payload"),
    ({"name": "x", "payload": {}, "id": 7}, 422, "body.id"),
    ({"name": "x", "payload": {"t": "x" * 17_000}}, 422, "body.payload"),
    ({"name": "x", "payload": {"t": "x" * 1_100_000}}, 413, "body"),
]


@pytest.mark.parametrize(("body", "status", "field"), BODIES, ids=lambda part: str(part)[:50])
def test_a_bad_body_is_refused_with_its_field(call: Call, body: Any, status: int, field: str) -> None:  # noqa: ANN401 - JSON
    """And nothing is stored."""
    reply = call("POST", "/records", body)
    assert (reply.status, reply.body["errors"][0]["field"]) == (status, field), reply
    assert reply.body["errors"][0]["reason"]
    assert call("GET", "/records").body["items"] == []


MANY_FIELDS = '{"name": "x", "payload": {}' + "".join(f',"{n:x}":1' for n in range(110_000)) + "}"
LONG_FIELD = '{"name": "x", "payload": {}, "' + "\x7f" * (MAX_BODY_BYTES - 100) + '": 1}'


@pytest.mark.parametrize(("body", "named"), [(MANY_FIELDS, MAX_FLAWS), (LONG_FIELD, 1)], ids=["many", "long"])
def test_a_bad_body_of_any_size_is_answered_in_few_words(function: ModuleType, body: str, named: int) -> None:
    """Lambda answers 6 MB at most, and what is longer is 500 to the client."""
    assert MAX_BODY_BYTES * 0.95 < len(body.encode()) <= MAX_BODY_BYTES
    answer = function.handler(v2_event("POST", "/records", body), Context())
    assert (answer["statusCode"], len(json.loads(answer["body"])["errors"])) == (422, named)
    assert len(json.dumps(answer)) < 20_000


@pytest.mark.parametrize("items", [[], [{"name": "x", "payload": {}}] * 501, "x", [1], [{"name": "x"}]])
def test_a_bad_batch_is_refused(call: Call, items: Any) -> None:  # noqa: ANN401 - JSON
    """From 1 to 500 records, each one valid."""
    reply = call("POST", "/records/batch", {"items": items})
    assert reply.status == 422
    assert reply.body["errors"][0]["field"].startswith("body.items")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"limit": "0"}, 422),
        ({"limit": "101"}, 422),
        ({"limit": "ten"}, 422),
        ({"limit": "1,2"}, 422),
        ({"limit": "5.0"}, 422),
        ({"limit": "1_0"}, 422),
        ({"limit": "+5"}, 422),
        ({"limit": " 5"}, 422),
        ({"limit": "05"}, 422),
        ({"limit": "\0"}, 422),
        ({"limit": "9" * 400}, 422),
        ({"name_prefix": "a\0"}, 422),
        ({"name_prefix": "\ud800"}, 422),
        ({"name_prefix": "x" * 201}, 422),
        ({"cursor": ""}, 400),
        ({"cursor": "%%%"}, 400),
        ({"cursor": "a"}, 400),
        ({"cursor": "YQ"}, 400),
        ({"cursor": "AGEAYg"}, 400),
        ({"cursor": "AP8"}, 400),
        ({"cursor": "é"}, 400),
        ({"cursor": "A" * 5000}, 422),
    ],
)
def test_a_bad_query_is_refused(call: Call, query: dict[str, str], status: int) -> None:
    """With the parameter's name."""
    reply = call("GET", "/records", query=query)
    assert reply.status == status, reply
    assert reply.body["errors"][0]["field"] == f"query.{next(iter(query))}"


IDS = ["0", "-1", "abc", "1.5", "1.0", "1_0", "01", "+1", "9223372036854775808", "9" * 5000, "%00"]


@pytest.mark.parametrize("record_id", IDS)
def test_a_bad_id_is_refused(call: Call, record_id: str) -> None:
    """Whatever is no bigint, or not written as the API writes it."""
    reply = call("GET", f"/records/{record_id}")
    assert (reply.status, reply.body["errors"][0]["field"]) == (422, "path.record_id")


def test_what_cannot_be_stored_is_refused_wherever_it_is(call: Call) -> None:
    """With the same names that every other refusal has."""
    path, header = call("GET", "/records/1\0"), call("DELETE", "/records/1", if_match='"\ud800"')
    assert (path.status, path.body["errors"][0]["field"]) == (422, "path")
    assert (header.status, header.body["errors"][0]["field"]) == (422, "header.if-match")


@pytest.mark.parametrize("event", [None, [], [{}], "x", 7, {}, {"version": "2.0"}, {"httpMethod": "GET"}])
def test_an_event_that_is_no_request_is_refused(function: ModuleType, event: object) -> None:
    """Whoever invokes the function by another way than an API is told so."""
    reply = as_client(function.handler(event, Context()))
    assert (reply.status, reply.body["errors"][0]["field"]) == (400, "event")


def test_a_number_that_grows_when_stored_is_refused(call: Call) -> None:
    """`jsonb` writes 1e300 with 301 digits: a page of such payloads would be more than Lambda answers."""
    reply = call("POST", "/records", {"name": "x", "payload": {"n": [1e300] * 200}})
    assert (reply.status, reply.body["errors"][0]["field"]) == (422, "body")
    assert "32768" in reply.body["errors"][0]["reason"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.just("\ud83d"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters()), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.text(st.characters(), max_size=210) | JSON, payload=JSON, record_id=st.text(max_size=20))
def test_no_json_ends_in_500(call: Call, name: Any, payload: Any, record_id: str) -> None:  # noqa: ANN401 - JSON
    """Any JSON, and what Python's json takes for it, is stored or refused."""
    new = {"name": name, "payload": {"value": payload}}
    assert call("POST", "/records", new).status in {201, 400, 409, 422}
    assert call("POST", "/records", payload).status in {400, 422}
    replaced = call("PUT", f"/records/{record_id}", new, if_match='"1"')
    assert replaced.status in {200, 400, 404, 405, 409, 412, 422}  # 405: a REST API reads `/records/` as `/records`
