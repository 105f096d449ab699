"""The token that logs in instead of a password."""

import json
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import botocore.auth
import botocore.session
import pytest

import db
from db import Database, DatabaseSettings, Deadline, IamCredentials, Secret, SecretError, UnavailableError
from db.credentials.iam import auth_token
from db.deadline import UNBOUNDED
from db.environment.lifecycle import Lifecycle
from db.environment.process import AwsIdentity, LambdaProcess, aws_identity
from local.postgres import free_port
from local.serving import Server

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

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


class Keys:
    """Where the clone of a snapshot is told its keys: answers with a status, or never, and counts who asked."""

    def __init__(self) -> None:
        self.status, self.asked, self.silent = "200 OK", 0, threading.Event()
        self.silent.set()

    def __call__(self, _environ: "WSGIEnvironment", start_response: "StartResponse") -> list[bytes]:
        self.asked += 1
        self.silent.wait(20)
        start_response(self.status, [("Content-Type", "application/json")])
        expires = (datetime.now(UTC) + timedelta(hours=6)).isoformat()
        keys = {"AccessKeyId": "ASIA", "SecretAccessKey": "key", "Token": SESSION, "Expiration": expires}
        return [json.dumps(keys).encode()]


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Keys]:
    told = Keys()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", SESSION)
    monkeypatch.setattr("botocore.utils.ContainerMetadataFetcher.TIMEOUT_SECONDS", 30)
    with Server(told) as server:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"http://127.0.0.1:{server.port}/keys")
        yield told
        told.silent.set()


def restored() -> tuple[Database, Lifecycle]:
    """An environment with an IAM login, from whose INIT a snapshot is about to be taken."""
    settings = DatabaseSettings(iam_user="app", host="127.0.0.1", port=free_port(), tls_ca="system", reserve_s=0.2)
    database = Database(settings)
    life = Lifecycle(database, LambdaProcess(runtime_api="127.0.0.1:1", is_snapshot=True))
    life.before_snapshot()
    return database, life


def test_a_clone_asks_for_its_keys_once(keys: Keys) -> None:
    """Once for all the logins until the keys expire."""
    who = IamCredentials("app", {"host": HOST}, lambda: None, lambda: NOW)
    who.forget()
    assert keys.asked == 0
    for _ in range(3):
        (login,) = who.logins(Deadline.after(60))
        assert "X-Amz-Credential=ASIA" in login.password.reveal()
    assert keys.asked == 1


def test_a_restore_succeeds_where_there_are_no_keys_and_the_borrow_says_so(keys: Keys) -> None:
    """A typed error, for a 503, that says what kind of failure it was and nothing that the SDK had met."""
    keys.status = "500 Internal Server Error"
    database, life = restored()
    life.after_restore()
    with pytest.raises(SecretError) as caught, database.invocation(10_000), database.autocommit():
        pass
    assert str(caught.value).endswith("cannot be had: CredentialRetrievalError")
    assert SESSION not in "".join(traceback.format_exception(caught.value))


def test_keys_that_do_not_come_are_waited_for_no_longer_than_anything_else(keys: Keys) -> None:
    """The SDK, which tries three times, would wait longer; an invocation with less answers in time."""
    keys.silent.clear()
    database, _ = restored()
    began = time.monotonic()
    with pytest.raises(UnavailableError), database.invocation(700), database.autocommit():
        pass
    assert time.monotonic() - began < 15


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
