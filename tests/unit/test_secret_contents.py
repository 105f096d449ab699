"""What is read of a secret's text, and that nothing of it is shown."""

import json
import traceback
from collections.abc import Mapping
from typing import Any

import pytest

from db import Login, Secret, SecretError
from db.credentials.contents import login_in
from db.credentials.sources import Answer
from tests.unit.played import FIELDS, PASSWORD, Played, credentials, version, versions


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"user": "app", "host": "db.example.com", "port": 6543, "database": "slots"}),
        ({"port": "5433"}, {"port": 5433}),
        ({"port": None, "dbname": None}, {"port": 5432, "database": "postgres"}),
        ({"engine": "postgres", "masterarn": "arn:..."}, {"user": "app"}),
    ],
)
def test_rds_keys_are_read(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    """User, password, host, port and database come from the keys that RDS writes."""
    login = login_in("s", Answer(version="v1", text=Secret(json.dumps({**FIELDS, **changes}))), {})
    assert login.password.reveal() == PASSWORD
    assert {name: getattr(login, name) for name in expected} == expected


def test_settings_override_where_not_who() -> None:
    """A secret that RDS manages has no host: the settings give it, or another one."""
    answer = Answer(version="v1", text=Secret(json.dumps({"username": "app", "password": PASSWORD})))
    login = login_in("s", answer, {"host": "replica", "port": 6000, "database": "other"})
    assert (login.host, login.port, login.database) == ("replica", 6000, "other")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is not a JSON object"),
        (PASSWORD, "is not a JSON object"),
        (json.dumps([PASSWORD]), "is not a JSON object"),
        ("[" * 100_000 + PASSWORD, "is not a JSON object"),
        (json.dumps({**FIELDS, "username": ""}), "has no usable field 'username'"),
        (json.dumps({**FIELDS, "password": ""}), "has no usable field 'password'"),
        (json.dumps({**FIELDS, "username": {"password": PASSWORD}}), "has no usable field 'username'"),
        (json.dumps({**FIELDS, "port": PASSWORD}), "has no usable field 'port'"),
        (json.dumps({**FIELDS, "port": 0}), "has no usable field 'port'"),
        (json.dumps({**FIELDS, "port": True}), "has no usable field 'port'"),
        (json.dumps({**FIELDS, "port": "9" * 5000}), "has no usable field 'port'"),
        (json.dumps({**FIELDS, "host": None}), "has no usable field 'host'"),
        (json.dumps({**FIELDS, "password": f"{PASSWORD}\ud83d"}), "has no usable field 'password'"),
        (json.dumps({**FIELDS, "username": f"{PASSWORD}\ud83d"}), "has no usable field 'username'"),
        (json.dumps({**FIELDS, "host": f"{PASSWORD}\ud83d"}), "has no usable field 'host'"),
        (json.dumps({**FIELDS, "dbname": f"{PASSWORD}\ud83d"}), "has no usable field 'dbname'"),
        (json.dumps({**FIELDS, "password": f"{PASSWORD}\0"}), "has no usable field 'password'"),
        (json.dumps({**FIELDS, "username": f"{PASSWORD}\0options\0"}), "has no usable field 'username'"),
        (json.dumps({**FIELDS, "host": f"{PASSWORD}\0"}), "has no usable field 'host'"),
        (json.dumps({**FIELDS, "dbname": f"{PASSWORD}\0options\0"}), "has no usable field 'dbname'"),
    ],
)
def test_an_unusable_secret_is_named_with_its_field_and_without_its_text(text: str, problem: str) -> None:
    """Neither message nor cause nor any frame's locals hold what was in the secret."""
    with pytest.raises(SecretError) as raised:
        versions(credentials(Played(CURRENT=Answer(version="v1", text=Secret(text)))))
    assert str(raised.value) == f"secret app/db {problem}"
    del text
    seen = "".join(traceback.TracebackException.from_exception(raised.value, capture_locals=True).format())
    assert "Secret(" in seen
    assert PASSWORD not in without_test_frames(seen)


def without_test_frames(seen: str) -> str:
    """Drop this file's own frames: the test knows what it wrote."""
    frames = seen.split('  File "')
    return "".join(frame for frame in frames if not frame.startswith(__file__))


def test_a_login_hides_its_password() -> None:
    """A logged login gives nothing away."""
    mapping: Mapping[str, Login] = {"login": login_in("s", version("v1"), {})}
    assert PASSWORD not in repr(mapping)
    assert "app_v1" in repr(mapping)
