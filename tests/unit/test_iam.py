"""The token that logs in instead of a password."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import botocore.auth
import botocore.session
import pytest

import db
from db import IamCredentials, Secret
from db.credentials.iam import auth_token
from db.deadline import UNBOUNDED
from db.environment.process import AwsIdentity, aws_identity

SOURCE = str(Path(db.__file__).parents[1])
"""Wherever these tests have it from: the tree, or the artefact."""
NOW = datetime(2026, 11, 22, 8, 5, 9, tzinfo=UTC)
SESSION = "FwoGZXIvYXdzEA+/=token"
HOST = "db.cxyz.eu-central-1.rds.amazonaws.com"


def identity(token: str = SESSION) -> AwsIdentity:
    return AwsIdentity(
        region="eu-central-1",
        access_key_id="ASIAEXAMPLE",
        secret_access_key=Secret("wJalrXUtnFEMI/K7MDENG+key"),
        session_token=Secret(token),
    )


def botocores_token(who: AwsIdentity, host: str, port: int, user: str) -> str:
    session = botocore.session.Session()
    session.set_credentials(who.access_key_id, who.secret_access_key.reveal(), who.session_token.reveal() or None)
    client: Any = session.create_client("rds", region_name=who.region)
    with patch.object(botocore.auth, "get_current_datetime", lambda *_, **__: NOW.replace(tzinfo=None)):
        token: str = client.generate_db_auth_token(DBHostname=host, Port=port, DBUsername=user)
    return token


@pytest.mark.parametrize("user", ["app", "app user", "app+ü/%~", "App_1.2-3"])
@pytest.mark.parametrize("token", ["", SESSION])
def test_the_token_is_botocores_to_the_byte(user: str, token: str) -> None:
    """What the AWS SDK signs at the same moment is what we sign, without the SDK."""
    ours = auth_token(identity(token), HOST, 5432, user, NOW).reveal()
    assert ours == botocores_token(identity(token), HOST, 5432, user)


def test_each_connect_has_a_fresh_token() -> None:
    """Row 24: a token is good for 15 minutes; a connect an hour later has another one."""
    moments = iter([NOW, NOW.replace(hour=9)])
    who = IamCredentials("app", {"host": HOST}, identity, lambda: next(moments))
    first, second = ([login.password for login in who.logins(UNBOUNDED)] for _ in range(2))
    assert len(first) == len(second) == 1
    assert first != second


def test_a_token_shows_itself_nowhere() -> None:
    """Neither the login nor the identity gives token or key away."""
    who = IamCredentials("app", {"host": HOST}, identity, lambda: NOW)
    login = next(iter(who.logins(UNBOUNDED)))
    shown = repr([login, who, identity()])
    assert "X-Amz" not in shown
    assert "wJalr" not in shown
    assert "FwoG" not in shown


PROGRAM = """
import sys
from db import DatabaseSettings
from db.credentials.choice import credentials_from
from db.deadline import UNBOUNDED
settings = DatabaseSettings(iam_user="app", host="db.example.com")
assert next(credentials_from(settings).logins(UNBOUNDED)).password.reveal().startswith("db.example.com:5432/?Action=")
raise SystemExit(bool({"boto3", "botocore"} & set(sys.modules)))
"""


def test_a_token_is_signed_without_the_sdk_and_without_a_call() -> None:
    """A cold start with IAM imports no boto3 and opens no socket."""
    keys = {"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "B", "PYTHONPATH": SOURCE}
    done = subprocess.run([sys.executable, "-B", "-c", PROGRAM], check=False, capture_output=True, text=True, env=keys)
    assert done.returncode == 0, done.stderr


def test_keys_that_are_not_in_the_environment_are_looked_for_as_the_sdk_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """A restored snapshot has its keys from an endpoint, and the SDK knows how to ask it."""
    for name, value in {"KEY_ID": "AKIA", "ACCESS_KEY": "key"}.items():
        monkeypatch.setenv(f"AWS_{'ACCESS' if name == 'KEY_ID' else 'SECRET'}_{name}", value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    who = IamCredentials("app", {"host": HOST}, lambda: None, lambda: NOW)
    expected = auth_token(
        AwsIdentity(
            region="us-east-1", access_key_id="AKIA", secret_access_key=Secret("key"), session_token=Secret("")
        ),
        HOST,
        5432,
        "app",
        NOW,
    )
    assert [login.password for login in who.logins(UNBOUNDED)] == [expected]


RESTORED = """
import sys
from db import DatabaseSettings
from db.credentials.choice import credentials_from
from db.deadline import UNBOUNDED
who = credentials_from(DatabaseSettings(iam_user="app", host="db.example.com"))
who.forget()
before = set(sys.modules)
assert next(who.logins(UNBOUNDED)).password
raise SystemExit(", ".join(name for name in set(sys.modules) - before if name.startswith("boto")) or 0)
"""


def test_the_clone_of_a_snapshot_finds_its_keys_without_loading_the_sdk(tmp_path: Path) -> None:
    """What looks for them came with the snapshot; the keys did not."""
    file = tmp_path / "credentials"
    file.write_text("[default]\naws_access_key_id = A\naws_secret_access_key = B\n")
    keys = {"AWS_DEFAULT_REGION": "eu-central-1", "AWS_SHARED_CREDENTIALS_FILE": str(file), "PYTHONPATH": SOURCE}
    command = [sys.executable, "-B", "-c", RESTORED]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=keys)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("missing", ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_half_an_identity_is_none(missing: str) -> None:
    """Keys are taken from the environment whole or not at all."""
    whole: dict[str, Any] = {"AWS_REGION": "r", "AWS_ACCESS_KEY_ID": "i", "AWS_SECRET_ACCESS_KEY": "k"}
    assert aws_identity(whole) is not None
    assert aws_identity({name: value for name, value in whole.items() if name != missing}) is None
