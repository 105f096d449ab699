"""The login that the text of a secret holds. Pure: asks nobody, and shows nothing of the text."""

import json
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from db.credentials.identity import DEFAULT_DATABASE, DEFAULT_PORT, Login
from db.credentials.sources import Answer, UselessVersionError
from db.masking import Secret
from db.variables import MAX_PORT

FIELDS: Mapping[str, str] = MappingProxyType(
    {"username": "user", "password": "password", "host": "host", "port": "port", "dbname": "database"}
)
"""From RDS's JSON keys to ours."""


def login_in(secret_id: str, answer: Answer, overrides: Mapping[str, Any]) -> Login:
    """Read RDS's JSON keys; raise UselessVersionError, which names secret and field and holds nothing of the text.

    https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html
    """
    login = _read(answer, overrides)
    if isinstance(login, str):
        raise UselessVersionError(f"secret {secret_id} {login}")
    return replace(login, secret_id=secret_id)


def _read(answer: Answer, overrides: Mapping[str, Any]) -> Login | str:
    """Return the login, or what is wrong with the secret; raises nothing, so that no frame with it is kept."""
    try:
        content = json.loads(answer.text.reveal())
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        return "is not a JSON object"
    fields: dict[str, Any] = {"port": DEFAULT_PORT, "database": DEFAULT_DATABASE}
    fields |= {ours: content[theirs] for theirs, ours in FIELDS.items() if content.get(theirs) not in (None, "")}
    fields |= overrides
    port = fields["port"]
    if isinstance(port, str) and port.isdecimal() and len(port) <= len(str(MAX_PORT)):  # Python's end at 4300
        fields["port"] = int(port)
    for theirs, ours in FIELDS.items():
        if not _is_usable(fields.get(ours), ours):
            return f"has no usable field {theirs!r}"
    return Login(**{**fields, "password": Secret(fields["password"])}, version=answer.version)


def _is_usable(value: object, field: str) -> bool:
    """Say whether `value`, out of a secret or a setting, can be what `field` of a login is."""
    if field == "port":
        return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MAX_PORT
    return isinstance(value, str) and _can_be_sent(value)


def _can_be_sent(text: str) -> bool:
    """Say whether a login can hold the text: JSON may have half of a surrogate pair, and a NUL would end it early."""
    try:
        return bool(text.encode()) and "\0" not in text
    except UnicodeEncodeError:
        return False
