"""Secrets Manager throttled, slow, away or talking junk: what is warm goes on, and what is new is told so in time."""

import logging
import socket
import threading
import time
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from db import LoginRefusedError, SecretError
from local.secrets_manager import REGION
from tests.canary import VALUE, holds_a_word
from tests.rotation.conftest import Application, who
from tests.rotation.rotation import set_password
from tests.rotation.trouble import JUNK_SECRET, MARGIN_S, TROUBLES

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

DEADLINE_MS = 3_000
REFRESH_S = 1.0

pytestmark = pytest.mark.usefixtures("asked_by")


@pytest.fixture(autouse=True)
def _impatient(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refresh has half of the time that it has in production; the longest of these troubles outlast both."""
    assert application.environments == []
    monkeypatch.setattr("db.credentials.secret.REFRESH_TIMEOUT_S", REFRESH_S)


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES)
def test_warm_connections_and_known_secrets_go_on(application: Application, trouble: "WSGIApplication") -> None:
    """No request fails: the secret's age has a pooled connection replaced once, and who connects logs in as before."""
    pooled, unpooled = application.environment(pool_size=1), application.environment(pool_size=0)
    assert who(pooled) == who(unpooled) == application.user
    with application.manager.instead(trouble):
        application.clock.advance(3600)
        for database in (pooled, unpooled):
            began = time.monotonic()
            assert who(database) == who(database) == application.user
            assert time.monotonic() - began < REFRESH_S + MARGIN_S
    application.clock.advance(3600)
    assert who(pooled) == who(unpooled) == application.user


@pytest.mark.parametrize("name", TROUBLES)
def test_a_cold_start_without_the_secret_is_a_typed_error_in_time(application: Application, name: str) -> None:
    """Row 23: the error names the secret; it holds nothing of what came instead, and comes before the deadline."""
    database = application.environment(pool_size=0)
    began = time.monotonic()
    with application.manager.instead(TROUBLES[name]), database.invocation(DEADLINE_MS):  # noqa: SIM117 - one after the other
        with pytest.raises(SecretError, match=application.secret_id) as raised:
            who(database)
    assert time.monotonic() - began < DEADLINE_MS / 1000 + MARGIN_S
    seen = "".join(traceback.TracebackException.from_exception(raised.value, capture_locals=True).format())
    assert JUNK_SECRET not in seen
    assert application.reads() <= 2, "a failed read is repeated once"
    assert who(database) == application.user


def test_a_name_that_is_not_resolved_is_a_typed_error_in_time(
    application: Application, asked_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's resolver may take a minute; nobody waits for it longer, and it is named where it is asked by us."""
    release = threading.Event()
    system = socket.getaddrinfo

    def slow(host: str, *rest: Any, **options: Any) -> Any:  # noqa: ANN401 - as the system's
        if host != "secretsmanager.example":
            return system(host, *rest, **options)
        if options.get("flags", 0) & socket.AI_NUMERICHOST:
            raise socket.gaierror
        release.wait(30)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://secretsmanager.example")
    database = application.environment()
    began = time.monotonic()
    try:
        with pytest.raises(SecretError, match=application.secret_id) as raised, database.invocation(5_500):
            who(database)
        assert time.monotonic() - began < 5.5 + MARGIN_S
        assert ("NotResolvedError" in str(raised.value)) == (asked_by == "our own request")
    finally:
        release.set()


def test_nobody_at_the_address_is_a_typed_error(
    application: Application, asked_by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network without Secrets Manager, such as a VPC without its endpoint, is named as what it is."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", "http://127.0.0.1:1")
    database = application.environment()
    kind = "EndpointConnectionError" if asked_by == "the SDK" else "ConnectionRefusedError"
    with pytest.raises(SecretError, match=f"{application.secret_id} cannot be read: {kind}"):
        who(database)


def test_a_token_that_cannot_be_sent_is_not_shown(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line break at its end: http.client names the value in its own error."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", f"{JUNK_SECRET}\n")
    with pytest.raises(SecretError, match=application.secret_id) as raised:
        who(application.environment())
    seen = "".join(traceback.TracebackException.from_exception(raised.value, capture_locals=True).format())
    assert JUNK_SECRET not in seen


def test_a_secret_of_another_region_is_not_found(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not exist is named, too."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-west-1")
    monkeypatch.setenv("AWS_REGION", "us-west-1")
    assert REGION != "us-west-1"
    with pytest.raises(SecretError, match=f"{application.secret_id} cannot be read: ResourceNotFoundException"):
        who(application.environment())


def test_a_refused_login_while_secrets_manager_is_away_ends_in_time(application: Application) -> None:
    """The password has changed and nobody says to what: a typed error that says so, and no wait for others."""
    database = application.environment(pool_size=0)
    who(database)
    application.reads()
    set_password(application.admin, application.user, "nobody-knows-it")
    began = time.monotonic()
    with application.manager.instead(TROUBLES["stalls"]), pytest.raises(LoginRefusedError) as raised:
        who(database)
    assert time.monotonic() - began < REFRESH_S + MARGIN_S
    assert f"secret {application.secret_id} cannot be read: " in str(raised.value)
    assert application.reads() <= 2


def test_the_log_has_neither_the_secret_nor_our_token(
    application: Application, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Lambda's log level DEBUG is the root logger's: botocore would write the answer, and the headers that it signs."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", f"{VALUE}-token")
    monkeypatch.setattr(logging.getLogger("botocore"), "level", logging.NOTSET)
    caplog.set_level(logging.DEBUG)
    assert who(application.environment()) == application.user
    assert not holds_a_word(caplog.text.encode())
