"""API Gateway's payload 2.0, both ways."""

from typing import Any

import pytest
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from local.payload import MalformedAnswerError, event_of, response_of
from local.template import Route

ROUTE = Route("POST", "/records/{record_id}", "RecordsFunction")


def event(body: bytes = b"", **request: Any) -> dict[str, Any]:  # noqa: ANN401 - what werkzeug takes
    """Make the event for a request to the route."""
    builder = EnvironBuilder(method="POST", path="/records/7", **request)
    return event_of(Request(builder.get_environ()), ROUTE, {"record_id": "7"}, body)


def test_an_event_says_what_was_asked() -> None:
    """Route, path and its parameters are where the resolvers look for them."""
    made = event()
    assert (made["version"], made["routeKey"], made["rawPath"]) == ("2.0", ROUTE.key, "/records/7")
    assert made["pathParameters"] == {"record_id": "7"}
    assert made["requestContext"]["http"]["method"] == "POST"
    assert made["requestContext"]["stage"] == "$default"


def test_values_of_one_name_are_joined() -> None:
    """Several query parameters of one name come as one, with commas; names of headers are in lower case."""
    made = event(query_string="a=1&a=2&b=%20", headers={"X-Many": "1,2"})
    assert made["queryStringParameters"] == {"a": "1,2", "b": " "}
    assert made["rawQueryString"] == "a=1&a=2&b=%20"
    assert made["headers"]["x-many"] == "1,2"


def test_cookies_are_a_list_of_their_own() -> None:
    """And no header."""
    made = event(headers={"Cookie": "a=1; b=2"})
    assert made["cookies"] == ["a=1", "b=2"]
    assert "cookie" not in made["headers"]


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("application/json", b'{"a": 1}', ('{"a": 1}', False)),
        ("application/problem+json; charset=utf-8", b"{}", ("{}", False)),
        ("text/plain", "é".encode(), ("é", False)),
        ("text/plain", b"\xff", ("/w==", True)),
        ("application/octet-stream", b"abc", ("YWJj", True)),
    ],
)
def test_what_is_no_text_travels_in_base64(content_type: str, body: bytes, expected: tuple[str, bool]) -> None:
    """By type, and by what the bytes are."""
    made = event(body, content_type=content_type)
    assert (made["body"], made["isBase64Encoded"]) == expected


def test_no_body_no_query_no_cookie_no_field() -> None:
    """API Gateway leaves out what there is not."""
    assert event().keys() & {"body", "queryStringParameters", "cookies"} == set()


def test_an_answer_becomes_a_response() -> None:
    """Status, headers, cookies and body."""
    answer = {"statusCode": 201, "headers": {"ETag": '"1"'}, "cookies": ["a=1", "b=2"], "body": "made"}
    response = response_of(answer)
    assert (response.status_code, response.get_data(), response.headers["ETag"]) == (201, b"made", '"1"')
    assert response.headers.getlist("Set-Cookie") == ["a=1", "b=2"]
    assert response.content_type == "text/plain;charset=utf-8"


def test_an_encoded_body_is_decoded() -> None:
    """Bytes reach the client as bytes."""
    assert response_of({"statusCode": 200, "body": "/w==", "isBase64Encoded": True}).get_data() == b"\xff"


@pytest.mark.parametrize(("answer", "body"), [({"a": 1}, b'{"a": 1}'), ("text", b"text"), (None, b"null")])
def test_an_answer_without_status_is_a_body(answer: object, body: bytes) -> None:
    """It is JSON with status 200."""
    response = response_of(answer)
    assert (response.status_code, response.content_type, response.get_data()) == (200, "application/json", body)


@pytest.mark.parametrize(
    "answer",
    [
        {"statusCode": "no"},
        {"statusCode": 99},
        {"statusCode": 200, "body": {"a": 1}},
        {"statusCode": 200, "body": "%", "isBase64Encoded": True},
    ],
)
def test_a_malformed_answer_is_refused(answer: object) -> None:
    """As API Gateway does, with 500 to the client."""
    with pytest.raises(MalformedAnswerError):
        response_of(answer)
