"""The secret through the extension beside the function: no SDK while it serves, no stale answer after a rotation."""

import socket
import time
from collections.abc import Iterator

import pytest

from db import Database, DatabaseSettings, SecretError, Tls
from tests.rotation.conftest import Application, cold_start, who
from tests.rotation.extension import Extension
from tests.rotation.trouble import TROUBLES


@pytest.fixture
def extension(application: Application, monkeypatch: pytest.MonkeyPatch) -> Iterator[Extension]:
    """One for the test, and an environment that finds it."""
    with Extension(application.client, "a token of the runtime's") as started:
        for name, value in started.variables().items():
            monkeypatch.setenv(name, value)
        yield started


def environment(application: Application) -> Database:
    """Return a database that is built from settings alone, as a function builds it."""
    settings = DatabaseSettings(secret_id=application.secret_id, tls=Tls.INSECURE_LOCAL_ONLY, pool_size=0)
    return Database(settings)


def test_where_the_extension_serves_the_sdk_is_not_imported(application: Application, extension: Extension) -> None:
    """A cold start with the extension logs in with the standard library alone."""
    assert cold_start(application) == (0, application.user, "")
    assert extension.asked == ["AWSCURRENT"]


def test_a_rotation_is_survived_past_the_extensions_cache(application: Application, extension: Extension) -> None:
    """The extension goes on answering with the old version; after a refused login it is passed by."""
    database = environment(application)
    assert who(database) == application.user
    for _ in application.rotation().steps():
        assert who(database) == application.user
    assert extension.asked == ["AWSCURRENT"]


def test_a_cold_start_with_a_stale_extension_is_survived(application: Application, extension: Extension) -> None:
    """A process that starts after the rotation, beside an extension that was asked before it, logs in all the same."""
    who(environment(application))
    application.rotation().run()
    assert who(environment(application)) == application.user
    assert extension.asked == ["AWSCURRENT", "AWSCURRENT"]


@pytest.mark.parametrize("trouble", ["not ready", "refuses the token", "not there", "talks junk"])
def test_the_api_serves_where_the_extension_does_not(
    application: Application, extension: Extension, trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """During the start of an environment the extension answers 400; whatever it answers, the API is asked."""
    application.reads()
    extension.is_ready = trouble != "not ready"
    if trouble == "refuses the token":
        monkeypatch.setenv("AWS_SESSION_TOKEN", "another")
    if trouble == "not there":
        monkeypatch.setenv("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", "1")
    if trouble == "talks junk":
        monkeypatch.setattr(extension, "_secret", lambda *_: "<html>")
    assert who(environment(application)) == application.user
    assert application.reads() == 1


@pytest.fixture
def silent(extension: Extension, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In the extension's place somebody who accepts, and says nothing."""
    assert extension.asked == []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        monkeypatch.setenv("PARAMETERS_SECRETS_EXTENSION_HTTP_PORT", str(listener.getsockname()[1]))
        yield


@pytest.mark.usefixtures("silent")
def test_a_silent_extension_leaves_the_api_its_time(application: Application) -> None:
    """Half of what is left, a second at most."""
    database = environment(application)
    with database.invocation(10_000):
        assert who(database) == application.user


@pytest.mark.usefixtures("silent")
def test_a_silent_extension_and_a_silent_api_end_together_within_the_deadline(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time that one has taken the other has not got: two seconds each, of four."""
    monkeypatch.setattr("db.credentials.extension.TIMEOUT_S", 60)
    database = environment(application)
    began = time.monotonic()
    with application.manager.instead(TROUBLES["stalls"]), database.invocation(4_500):  # noqa: SIM117 - one after the other
        with pytest.raises(SecretError, match=application.secret_id):
            who(database)
    assert time.monotonic() - began < 2 + 4


def test_outside_of_lambda_nobody_is_asked(
    application: Application, extension: Extension, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a developer's machine somebody else may listen there: a session token is not handed to it."""
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME")
    assert who(environment(application)) == application.user
    assert extension.asked == []
