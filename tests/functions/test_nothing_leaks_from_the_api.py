"""Promise 5 at the front door: what a client sends is in no log and no metric, whatever becomes of the request.

The answers may hold a client's own values. Everything that the function wrote meanwhile is captured, and searched at
the end of the run, too (tests/canary.py).
"""

import logging
from typing import Any

import pytest

from tests.canary import VALUE, holds_a_word
from tests.functions.conftest import Call

NAME = f"{VALUE}-name"
RECORD = {"name": NAME, "payload": {"note": f"{VALUE}-note"}}

REQUESTS: dict[str, tuple[str, str, Any, dict[str, Any]]] = {
    "created": ("POST", "/records", RECORD, {}),
    "taken": ("POST", "/records", RECORD, {}),
    "many, one taken": ("POST", "/records/batch", {"items": [{**RECORD, "name": f"{NAME}-2"}, RECORD]}, {}),
    "found": ("GET", "/records", None, {"query": {"name_prefix": VALUE}}),
    "wrong cursor": ("GET", "/records", None, {"query": {"cursor": VALUE}}),
    "wrong limit": ("GET", "/records", None, {"query": {"limit": VALUE}}),
    "wrong id": ("GET", f"/records/{VALUE}", None, {}),
    "no such route": ("GET", f"/{VALUE}", None, {}),
    "wrong type": ("POST", "/records", {"name": {"a": VALUE}, "payload": {}}, {}),
    "unknown field": ("POST", "/records", {**RECORD, VALUE: VALUE}, {}),
    "not JSON": ("POST", "/records", f"{VALUE}{{", {}),
    "a NUL": ("POST", "/records", {"name": f"{VALUE}\0", "payload": {}}, {}),
    "too long": ("POST", "/records", {"name": VALUE * 10_000, "payload": {}}, {}),
    "stale": ("PUT", "/records/1", RECORD, {"if_match": f'"{VALUE}"'}),
}


def test_no_request_is_in_what_a_function_writes(
    call: Call, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the log, at its most talkative, nor the metrics hold a name, a payload, a parameter or a path."""
    caplog.set_level(logging.DEBUG)
    statuses = {}
    for name, (method, path, body, parts) in REQUESTS.items():
        statuses[name] = call(method, path, body, **parts).status
        written = capfd.readouterr()
        assert not holds_a_word(f"{written.out}{written.err}{caplog.text}".encode()), name
    assert statuses["created"] == 201
    assert statuses["taken"] == statuses["many, one taken"] == 409
    assert statuses["found"] == 200
    assert all(400 <= status < 500 for name, status in statuses.items() if name not in {"created", "found"})
