"""What must hold for a request before its models see it: its shape, its body's size, and that PostgreSQL can store it.

`json` reads more than RFC 8259 allows and than `jsonb` takes: NaN, Infinity, NUL, lone surrogates, any depth.
https://www.postgresql.org/docs/current/datatype-json.html
"""

import base64
import binascii
import json
import math
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, NoReturn

from handlers.refusals import Flaw, RefusedError, malformed, unacceptable

MAX_BODY_BYTES = 1024 * 1024
"""Bytes of a request's body, decoded; API Gateway lets 10 MB pass."""
MAX_DEPTH = 50
"""Objects and arrays inside each other in a body."""

PARTS = {
    "queryStringParameters": "query",
    "multiValueQueryStringParameters": "query",
    "rawPath": "path",
    "path": "path",
}
"""What an event has besides headers and body, by what the models call it."""

Path = tuple[str, ...]


def admitted(event: dict[str, Any]) -> dict[str, Any]:
    """Return the event with its body as text; raise RefusedError where it cannot be served."""
    for part, name in PARTS.items():
        refuse_unstorable(event.get(part), (name,))
    for part in ("headers", "multiValueHeaders"):
        lowered = {name.lower(): value for name, value in (event.get(part) or {}).items()}
        refuse_unstorable(lowered, ("header",))
    body = event.get("body")
    if not body:
        return event
    _require_json(event.get("headers") or {})
    return {**event, "body": _text(body, is_base64=bool(event.get("isBase64Encoded"))), "isBase64Encoded": False}


def _require_json(headers: dict[str, str]) -> None:
    """Refuse a body that says it is something else; one that says nothing is taken for JSON."""
    stated = next((value for name, value in headers.items() if name.lower() == "content-type"), "application/json")
    if stated.split(";")[0].strip().lower() != "application/json":
        raise RefusedError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, Flaw("header.content-type", "the body must be application/json")
        )


def _text(body: str, *, is_base64: bool) -> str:
    try:
        content = base64.b64decode(body, validate=True) if is_base64 else body.encode()
        text = content.decode()
    except (binascii.Error, UnicodeError):
        raise malformed("body", "must be text in UTF-8") from None
    if len(content) > MAX_BODY_BYTES:
        raise RefusedError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, Flaw("body", f"must not be longer than {MAX_BODY_BYTES} bytes")
        )
    return text


def parse_object(text: str) -> dict[str, Any]:
    """Return the JSON object in `text`; raise RefusedError where it is none or cannot be stored as `jsonb`."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_float, parse_int=_int)
    except json.JSONDecodeError as error:
        raise malformed("body", f"is not JSON: {error.msg} at character {error.pos}") from None
    except RecursionError:
        raise _too_deep("body") from None
    if not isinstance(value, dict):
        raise unacceptable("body", "must be a JSON object")
    refuse_unstorable(value, ("body",))
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise malformed("body", f"is not JSON: {name} is no number")


def _float(text: str) -> float:
    if math.isinf(value := float(text)):
        raise unacceptable("body", "holds a number that is too large")
    return value


def _int(text: str) -> int:
    try:
        return int(text)
    except ValueError:  # more digits than Python reads: sys.set_int_max_str_digits
        raise unacceptable("body", "holds a number of too many digits") from None


def refuse_unstorable(value: object, path: Path) -> None:
    """Raise RefusedError where a text in `value` holds what PostgreSQL cannot store, or where it is nested too deep."""
    waiting: list[tuple[object, Path]] = [(value, path)]
    while waiting:
        inner, where = waiting.pop()
        if isinstance(inner, str):
            _refuse_text(inner, where)
        elif isinstance(inner, dict | list):
            if len(where) > MAX_DEPTH:
                raise _too_deep(where[0])
            waiting.extend(_children(inner, where))


def _children(value: dict[str, object] | list[object], path: Path) -> Iterator[tuple[object, Path]]:
    if isinstance(value, list):
        yield from ((item, (*path, str(index))) for index, item in enumerate(value))
        return
    for key, item in value.items():
        _refuse_text(key, path)
        yield item, (*path, key)


def _refuse_text(text: str, path: Path) -> None:
    if "\0" in text:
        raise unacceptable(".".join(path), "must not hold the character NUL")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise unacceptable(".".join(path), "must not hold half of a surrogate pair")


def _too_deep(field: str) -> RefusedError:
    return unacceptable(field, f"must not be nested deeper than {MAX_DEPTH}")
