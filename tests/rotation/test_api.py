"""The secret by one signed request of our own: what is sent, to whom, how often, and when the SDK is asked instead."""

import ssl
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import patch

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from db import SecretError
from db.credentials import exchange
from db.credentials.calls import CALLS_AT_ONCE, ONE_MORE_S
from local.secrets_manager import NOBODYS_KEYS, REGION
from local.serving import Server
from tests.faults.tls import Authority
from tests.rotation.conftest import Application, cold_start, who
from tests.rotation.trouble import TROUBLES

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def test_the_api_is_asked_without_the_sdk(application: Application) -> None:
    """A cold start that fetches the secret from Secrets Manager logs in with the standard library alone."""
    assert cold_start(application) == (0, application.user, "")
    assert application.reads() == 1


class Recorder:
    """A Secrets Manager that refuses everybody, and keeps each request's headers and body."""

    def __init__(self) -> None:
        self.seen: list[tuple[dict[str, str], bytes]] = []

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        headers = {name[5:].replace("_", "-").lower(): environ[name] for name in environ if name.startswith("HTTP_")}
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        self.seen.append(({"content-type": environ["CONTENT_TYPE"], **headers}, body))
        return TROUBLES["forbidden"](environ, start_response)


def sdks_proof(headers: dict[str, str], body: bytes) -> str:
    """Return the Authorization that botocore would have sent at that moment."""
    now = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    signed = {name: headers[name] for name in ("content-type", "x-amz-target")}
    request = AWSRequest("POST", f"http://{headers['host']}/", headers=signed, data=body)
    keys = Credentials(*NOBODYS_KEYS.values())
    with patch.object(botocore.auth, "get_current_datetime", lambda *_, **__: now.replace(tzinfo=None)):
        botocore.auth.SigV4Auth(keys, "secretsmanager", REGION).add_auth(request)
    return str(request.headers["Authorization"])


def test_what_arrives_is_signed_as_the_sdk_would_have_signed_it(application: Application) -> None:
    """Host, token, date, target and body of the very request that was sent: AWS checks them, the emulator does not."""
    recorder = Recorder()
    with application.manager.instead(recorder), pytest.raises(SecretError, match="AccessDeniedException"):
        who(application.environment())
    ((headers, body),) = recorder.seen
    assert headers["host"] == application.manager.url.removeprefix("http://")
    assert headers["x-amz-security-token"] == NOBODYS_KEYS["AWS_SESSION_TOKEN"]
    assert headers["authorization"] == sdks_proof(headers, body)


class OnceInTrouble:
    """In trouble for the first question, and well again."""

    def __init__(self, trouble: "WSGIApplication", application: "WSGIApplication") -> None:
        self._answers = iter([trouble])
        self._application = application

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        return next(self._answers, self._application)(environ, start_response)


@pytest.mark.usefixtures("asked_by")
@pytest.mark.parametrize("trouble", ["throttled", "broken", "gone"])
def test_what_passes_is_asked_once_more(application: Application, trouble: str) -> None:
    """Throttled, or a server's own error: the second answer serves."""
    with application.manager.instead(OnceInTrouble(TROUBLES[trouble], application.manager.application)):
        assert who(application.environment()) == application.user
    assert application.reads() == 2


@pytest.mark.usefixtures("asked_by")
@pytest.mark.parametrize("trouble", ["forbidden", "missing", "undecryptable", "not JSON", "no secret"])
def test_what_does_not_pass_is_asked_once(application: Application, trouble: str) -> None:
    """To ask again what was refused only takes time that the invocation has not got."""
    with application.manager.instead(TROUBLES[trouble]), pytest.raises(SecretError):
        who(application.environment())
    assert application.reads() == 1


def keys_in_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the keys out of the environment, to where the SDK finds them."""
    keys = "".join(f"{name.lower()} = {value}\n" for name, value in NOBODYS_KEYS.items())
    (folder / "credentials").write_text(f"[default]\n{keys}")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(folder / "credentials"))
    for name in NOBODYS_KEYS:
        monkeypatch.delenv(name)


def test_keys_that_are_not_in_the_environment_are_the_sdks_to_find(
    application: Application, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restored snapshot has them from an endpoint, a developer's machine in a file."""
    keys_in_a_file(tmp_path, monkeypatch)
    assert who(application.environment()) == application.user


RESTORED = """
import os, sys
from db import Database, DatabaseSettings
database = Database(DatabaseSettings.from_env())
database.forget()
read = []
sys.addaudithook(lambda event, arguments: read.append(str(arguments[0])) if event == "open" else None)
with database.autocommit() as connection:
    print(connection.exec_driver_sql("select current_user").scalar_one())
size = sum(os.stat(path).st_size for path in set(read) if "botocore" in path)
raise SystemExit(f"{size} bytes" if size > 16_384 else 0)
"""


def test_the_clone_of_a_snapshot_reads_little_of_the_sdk(
    application: Application, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has its keys from where only the SDK looks: 190 modules and 1.3 MB of JSON, which come with the snapshot."""
    keys_in_a_file(tmp_path, monkeypatch)
    assert cold_start(application, RESTORED) == (0, application.user, "")


class SecureServer(Server):
    """Serves over TLS."""

    def __init__(self, application: "WSGIApplication", certificate: Path) -> None:
        super().__init__(application)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)


@pytest.fixture
def authority(
    application: Application,  # noqa: ARG001 - its variables first
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[tuple[Authority, Recorder]]:
    """An authority of the test's own, and Secrets Manager over TLS with a certificate of its."""
    made = Authority(tmp_path)
    recorder = Recorder()
    with SecureServer(recorder, made.certificate("localhost")) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", f"https://localhost:{server.port}")
        exchange._verifying.cache_clear()
        yield made, recorder
    exchange._verifying.cache_clear()


def test_an_authority_that_the_system_does_not_trust_is_sent_nothing(
    application: Application, authority: tuple[Authority, Recorder]
) -> None:
    """Neither keys nor token reach who only says to be Secrets Manager, by our request or the SDK's."""
    _, recorder = authority
    with pytest.raises(SecretError, match="SSLError"):
        who(application.environment())
    assert recorder.seen == []


def test_an_authority_that_the_system_trusts_is_asked(
    application: Application, authority: tuple[Authority, Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same server, and a system that knows its authority."""
    made, recorder = authority
    monkeypatch.setenv("SSL_CERT_FILE", str(made.file))
    with pytest.raises(SecretError, match="AccessDeniedException"):
        who(application.environment())
    assert len(recorder.seen) == 1


def test_where_the_system_trusts_nobody_the_sdks_authorities_serve(
    application: Application, authority: tuple[Authority, Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image without certificates: botocore brings a bundle of its own, and takes every request after the first."""
    made, recorder = authority
    monkeypatch.setattr("botocore.httpsession.where", lambda: str(made.file))
    database = application.environment()
    for number in range(1, CALLS_AT_ONCE):
        with pytest.raises(SecretError, match="AccessDeniedException"):
            who(database)
        assert len(recorder.seen) == number
    application.clock.advance(ONE_MORE_S)
    with pytest.raises(SecretError, match="AccessDeniedException"):
        who(database)
    assert len(recorder.seen) == CALLS_AT_ONCE
