"""Why an invocation went wrong, in few words: out of the function's log and of Lambda's description of its error."""

import json
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

from local.environment import Invocation

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "src"
LEVELS = frozenset({"ERROR", "CRITICAL"})


def went_wrong(invocation: Invocation) -> bool:
    """Say whether the function failed, or answered that it has."""
    if invocation.failure or not isinstance(invocation.payload, dict):
        return invocation.failure is not None
    status = str(invocation.payload.get("statusCode", ""))
    return status.isdecimal() and int(status) >= HTTPStatus.INTERNAL_SERVER_ERROR


def complaints_of(invocation: Invocation) -> list[str]:
    """Return what the function has said of errors, a line each, and last how Lambda describes the failure."""
    told = [_told(record) for record in _errors(invocation.log)]
    return [*told, *([_described(invocation)] if invocation.failure else [])]


def _errors(log: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield the records of the function's logger that are errors."""
    for line in log:
        try:
            record = json.loads(line) if line.startswith("{") else None
        except ValueError:  # a line of somebody else
            continue
        if isinstance(record, dict) and record.get("level") in LEVELS:
            yield record


def _told(record: Mapping[str, Any]) -> str:
    """Return a record's message, its errors, the reason, and where it was."""
    traceback = str(record.get("exception") or "").splitlines()
    what = (record.get("message"), " from ".join(record.get("error") or ()), record.get("reason"), *traceback[-1:])
    code = f" (SQLSTATE {record['sqlstate']})" if record.get("sqlstate") else ""
    return f"{': '.join(str(part) for part in what if part)}{code}{_at(record.get('places') or ())}"


def _at(places: Iterable[str]) -> str:
    """Return the first and the last of the places that are in our own sources: the route's, and the nearest one."""
    own = [str(Path(place).relative_to(ROOT)) for place in places if Path(place).is_relative_to(SOURCES)]
    return f", at {' … '.join([*own[:1], *own[1:][-1:]])}" if own else ""


def _described(invocation: Invocation) -> str:
    payload = invocation.payload if isinstance(invocation.payload, dict) else {}
    message = payload.get("errorMessage") or "no answer came"
    where = [line.strip() for frame in payload.get("stackTrace") or () for line in str(frame).splitlines()[:1]]
    return ": ".join([str(invocation.failure), str(message)]) + "".join(f", at {line}" for line in where[-1:])
