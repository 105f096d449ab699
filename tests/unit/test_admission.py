"""What is let in, before any model looks at it."""

import base64
from typing import Any

import pytest

from handlers.admission import MAX_BODY_BYTES, MAX_DEPTH, admitted, parse_object
from handlers.refusals import RefusedError


def refusal(event: dict[str, Any]) -> tuple[int, str]:
    with pytest.raises(RefusedError) as caught:
        admitted(event)
    return caught.value.status, caught.value.flaws[0].field


@pytest.mark.parametrize("stated", ["application/json", "Application/JSON; charset=utf-8", "application/json ;x=y"])
def test_a_body_of_json_is_let_in(stated: str) -> None:
    """However the header is written."""
    event = {"headers": {"Content-Type": stated}, "body": "{}"}
    assert admitted(event)["body"] == "{}"


@pytest.mark.parametrize("stated", ["text/plain", "application/json-patch+json", "multipart/form-data; boundary=x", ""])
def test_a_body_of_another_type_is_not(stated: str) -> None:
    """415, before anybody tries to read it."""
    assert refusal({"headers": {"content-type": stated}, "body": "{}"}) == (415, "header.content-type")


def test_an_encoded_body_is_decoded_once() -> None:
    """API Gateway encodes what it takes for binary."""
    event = admitted({"body": base64.b64encode("é".encode()).decode(), "isBase64Encoded": True})
    assert (event["body"], event["isBase64Encoded"]) == ("é", False)


@pytest.mark.parametrize("body", ["%%%", "YQ", base64.b64encode(b"\xff").decode()])
def test_a_body_that_is_wrongly_encoded_is_refused(body: str) -> None:
    """Bad base64 and bad UTF-8 alike."""
    assert refusal({"body": body, "isBase64Encoded": True}) == (400, "body")


def test_the_limit_counts_bytes_after_decoding() -> None:
    """At the limit in, one above out; encoded or not."""
    exact, above = "x" * MAX_BODY_BYTES, "x" * (MAX_BODY_BYTES + 1)
    assert admitted({"body": exact})["body"] == exact
    assert admitted({"body": base64.b64encode(exact.encode()).decode(), "isBase64Encoded": True})["body"] == exact
    assert refusal({"body": above}) == (413, "body")
    assert refusal({"body": "é" * (MAX_BODY_BYTES // 2 + 1)}) == (413, "body")


def nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


def test_the_depth_is_bounded() -> None:
    """At the limit in, one above out, and far above no crash."""
    assert parse_object(nested(MAX_DEPTH))
    for depth in (MAX_DEPTH + 1, 900, 5_000, 100_000):
        with pytest.raises(RefusedError):
            parse_object(nested(depth))


def test_what_is_nested_in_arrays_counts_too() -> None:
    """Both kinds of nesting are one depth."""
    with pytest.raises(RefusedError):
        parse_object('{"a":' + "[" * MAX_DEPTH + "]" * MAX_DEPTH + "}")
