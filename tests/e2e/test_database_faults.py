"""What is wrong outside the function: the database is away, the secret is not what it should be."""

import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import migrations
from db import Database, DatabaseSettings
from local.application import ADMINISTRATORS_SECRET, Application, Certificates
from local.environment import Invocation
from local.function import LambdaFunction
from local.postgres import PostgresServer
from local.samples import samples
from local.stack import Stack
from local.template import Route, Template
from tests.e2e.conftest import Client
from tests.rotation import trouble

OwnRecords = Callable[..., LambdaFunction]
SECRET_WORDS = "correct horse battery staple"
LOGIN = {"username": "slotwise", "password": SECRET_WORDS, "host": "127.0.0.1", "port": 5432, "dbname": "slotwise"}


@pytest.fixture
def application(tmp_path: Path) -> Iterator[Application]:
    """A server of the test's own, with an administrator and an empty database."""
    server = PostgresServer(tmp_path / "data", secrets.token_urlsafe())
    certificates = Certificates.issue(tmp_path) if server.has_tls else None
    server.certificate = certificates.server if certificates else None
    with server:
        made = Application(server, certificates)
        made.create()
        yield made


def administrators(application: Application) -> Database:
    login = json.loads(application.logins()[ADMINISTRATORS_SECRET])
    url = application.server.url(login["username"], login["password"], login["dbname"])
    return Database(DatabaseSettings.from_env({"DATABASE_URL": url, **application.tls_variables}))


def test_a_database_that_is_down_at_start_is_503_until_it_is_back(
    stack: Stack,
    application: Application,
    own_records: OwnRecords,
    serve: Callable[[LambdaFunction, list[Route]], str],
    connect: Callable[[str], Client],
) -> None:
    """The function initialises without it, says when to come again, and recovers by itself in the same environment."""
    stack.secrets_manager.put("away", application.logins()[ADMINISTRATORS_SECRET])
    with closing(administrators(application)) as database:
        migrations.upgrade(database.engine)
    function = own_records(DB_SECRET_ID="away", **application.tls_variables)
    call = connect(serve(function, Template().routes()))
    application.server.stop()
    for _ in range(2):
        refused = call("GET", "/records")
        assert refused.status == 503
        assert int(refused.headers["Retry-After"]) > 0
    application.server.start()
    assert call("GET", "/records").status == 200
    assert len({invocation.environment for invocation in function.invocations}) == 1


@pytest.fixture
def reads_broken_secret(own_records: OwnRecords) -> LambdaFunction:
    """A function whose secret the tests break; a new one each time, as one asks a few times a minute only."""
    return own_records(DB_SECRET_ID="broken")


def asked(function: LambdaFunction) -> Invocation:
    """Return what becomes of a request for a list."""
    return function.invoke(next(sample.event for sample in samples() if sample.name == "records/list"))


def reasons(invocation: Invocation) -> list[str]:
    """Return why requests failed, as the function's log says it."""
    records = [json.loads(line) for line in invocation.log if line.startswith("{")]
    return [record["reason"] for record in records if "reason" in record and record["kind"] == "secret"]


def without(field: str) -> str:
    """Return a login that lacks one field."""
    return json.dumps({name: value for name, value in LOGIN.items() if name != field})


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (f"password={SECRET_WORDS}", "not a JSON object"),
        (json.dumps([SECRET_WORDS]), "not a JSON object"),
        (without("username"), "username"),
        (without("password"), "password"),
        (without("host"), "host"),
    ],
    ids=["text", "list", "no-username", "no-password", "no-host"],
)
def test_a_secret_that_cannot_be_used_is_named_and_never_shown(
    reads_broken_secret: LambdaFunction, stack: Stack, text: str, named: str
) -> None:
    """503 to the client; the log names the secret and the field, and holds no word of the content."""
    stack.secrets_manager.put("broken", text)
    invocation = asked(reads_broken_secret)
    assert is_refused(invocation.payload)
    (reason,) = reasons(invocation)
    assert "broken" in reason
    assert named in reason
    assert SECRET_WORDS not in "\n".join(invocation.log) + json.dumps(invocation.payload)


def test_a_secret_that_is_missing_is_named(own_records: OwnRecords) -> None:
    """503, and the log says which one was looked for."""
    invocation = asked(own_records(DB_SECRET_ID="absent"))
    assert is_refused(invocation.payload)
    (reason,) = reasons(invocation)
    assert "absent" in reason
    assert "ResourceNotFoundException" in reason


@pytest.mark.parametrize(
    ("status", "code"),
    [("400 Bad Request", "AccessDeniedException"), ("500 Internal Server Error", "InternalServiceError")],
)
def test_a_secrets_manager_that_fails_is_503_until_it_answers(
    stack: Stack, own_records: OwnRecords, status: str, code: str
) -> None:
    """The log says with which error; the same environment serves as soon as the secret can be read."""
    function = own_records()
    with stack.secrets_manager.instead(trouble.error(status, code)):
        invocation = asked(function)
    assert is_refused(invocation.payload)
    assert any(code in reason for reason in reasons(invocation))
    recovered = asked(function)
    assert (recovered.payload["statusCode"], recovered.is_cold) == (200, False)


def is_refused(answer: dict[str, Any]) -> bool:
    """Say whether the answer is 503 and says when to come again, in whatever case its headers are."""
    headers = {name.lower(): value for name, value in answer["headers"].items()}
    return bool(answer["statusCode"] == 503 and int(headers["retry-after"]) > 0)
