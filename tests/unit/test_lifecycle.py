"""An environment's INIT, and the extension that is registered there."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import db
from db import Credentials, Database, DatabaseSettings, Deadline, Login, SecretError, Tls
from db.environment import extension_api
from db.environment.extension_api import register
from db.environment.lifecycle import SHUTDOWN_TIMEOUT_S, Lifecycle
from db.environment.process import LambdaProcess
from db.settings import AtInit
from local.postgres import free_port

KILLED_AFTER_S = 0.3
"""Seconds from SIGTERM to SIGKILL: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html."""
IN_LAMBDA = LambdaProcess(runtime_api=f"127.0.0.1:{free_port()}")


class Counted(Credentials):
    """Knows nobody, and counts who asked and when all was forgotten."""

    def __init__(self) -> None:
        self.asked, self.forgotten = 0, 0

    def logins(self, deadline: Deadline) -> Iterator[Login]:
        deadline.require("ask")
        self.asked += 1
        raise SecretError("not there")

    def accepted(self, login: Login) -> None:
        raise AssertionError(login)

    def forget(self) -> None:
        self.forgotten += 1


def lifecycle(credentials: Credentials, process: LambdaProcess, at_init: AtInit = AtInit.SECRET) -> Lifecycle:
    settings = DatabaseSettings(
        secret_id="s", tls=Tls.INSECURE_LOCAL_ONLY, at_init=at_init, reserve_s=0, connect_timeout_s=0.2
    )
    return Lifecycle(Database(settings, credentials=credentials), process)


@pytest.mark.parametrize("at_init", list(AtInit))
def test_init_never_fails_because_the_secret_is_away(at_init: AtInit) -> None:
    """What is done ahead is tried once, or not at all, and its failure is the first borrow's to tell."""
    credentials = Counted()
    life = lifecycle(credentials, IN_LAMBDA, at_init)
    life.begin()
    life.ready()
    assert credentials.asked >= (at_init is not AtInit.NOTHING)
    assert not (at_init is AtInit.NOTHING and credentials.asked)


def test_outside_of_lambda_nothing_is_begun() -> None:
    """A test or a tool that imports a handler opens nothing and asks nobody."""
    credentials = Counted()
    life = lifecycle(credentials, LambdaProcess())
    life.begin()
    life.ready()
    assert credentials.asked == 0


def test_a_snapshot_is_taken_of_an_environment_that_knows_no_secret() -> None:
    """INIT for SnapStart does not fetch; the hook forgets; each restored clone asks for itself."""
    credentials = Counted()
    life = lifecycle(credentials, LambdaProcess(runtime_api=IN_LAMBDA.runtime_api, is_snapshot=True))
    life.begin()
    life.ready()
    assert credentials.asked == 0
    life.before_snapshot()
    assert credentials.forgotten == 1
    life.after_restore()
    assert credentials.asked == 1


def test_the_hooks_run_where_the_runtime_client_runs_them() -> None:
    """Registered with the package that AWS's runtime client looks into."""
    from awslambdaric import lambda_runtime_hooks_runner as runner

    credentials = Counted()
    lifecycle(credentials, LambdaProcess(runtime_api=IN_LAMBDA.runtime_api, is_snapshot=True)).begin()
    runner.run_before_snapshot()
    assert (credentials.forgotten, credentials.asked) == (1, 0)
    runner.run_after_restore()
    assert (credentials.forgotten, credentials.asked) == (1, 1)


def test_a_clone_stirs_its_own_randomness_into_openssls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nonces and keys of TLS are no other clone's: OpenSSL knows of forks, and nothing of snapshots."""
    stirred: list[tuple[bytes, float]] = []
    monkeypatch.setattr("ssl.RAND_add", lambda *given: stirred.append(given))
    for _ in range(2):
        lifecycle(Counted(), LambdaProcess()).after_restore()
    assert len({text for text, _ in stirred}) == 2
    assert all(len(text) >= 32 and entropy >= 32 for text, entropy in stirred)


def test_the_engine_is_there_before_a_second_thread_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is done ahead and what the handler imports share one engine, one pool."""
    monkeypatch.setattr(Database, "prepare", lambda *_: None)
    life = lifecycle(Counted(), IN_LAMBDA)
    life.begin()
    assert "engine" in vars(life._database)


@contextmanager
def answering(*answers: bytes) -> Iterator[str]:
    """Serve a runtime API that gives these answers, one to a connection, and then no more."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for answer in answers:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65_536)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join(10)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 403 Forbidden\r\nLambda-Extension-Identifier: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1",
        b"",
        b"\xff\r\n\r\n",
    ],
)
def test_an_api_that_refuses_does_no_harm(answer: bytes) -> None:
    """No extension, no signal; the function serves as ever."""
    with answering(answer) as api:
        assert register(api) is None


def test_an_api_that_is_not_there_does_no_harm() -> None:
    """A laptop, or an emulator that knows no extensions."""
    assert register(f"127.0.0.1:{free_port()}") is None


@pytest.mark.parametrize("address", ["localhost:http", "127.0.0.1:99999", "[::1]:80", ""])
def test_an_address_that_is_none_does_no_harm(address: str) -> None:
    """Whatever a variable says."""
    assert register(address) is None


def test_an_api_that_never_answers_is_waited_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is on this machine; INIT goes on without it."""
    monkeypatch.setattr(extension_api, "TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        began = time.monotonic()
        assert register(f"127.0.0.1:{silent.getsockname()[1]}") is None
        assert time.monotonic() - began < 5


ENDING = """
import sys, time
from db import Database, DatabaseSettings, Tls
from db.environment import extension_api
from db.environment.lifecycle import Lifecycle
from db.environment.process import LambdaProcess
extension_api.TIMEOUT_S = 30
database = Database(DatabaseSettings(url="postgresql://u:p@127.0.0.1:1/d", tls=Tls.INSECURE_LOCAL_ONLY))
Lifecycle(database, LambdaProcess(runtime_api=sys.argv[1]), at_end=lambda: time.sleep(60)).begin()
print("ready", flush=True)
time.sleep(60)
"""


def test_an_end_that_hangs_is_cut_short() -> None:
    """Lambda would kill, and write that into the log as a fault: what cannot be flushed in time is left."""
    assert SHUTDOWN_TIMEOUT_S < KILLED_AFTER_S
    accepted = b"HTTP/1.1 200 OK\r\nlambda-extension-identifier: abc\r\n\r\n"
    environ = {"PYTHONPATH": str(Path(db.__file__).parents[1])}
    with answering(accepted, b"") as api:
        command = [sys.executable, "-B", "-c", ENDING, api]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            process.terminate()
            try:
                assert process.wait(20) == 0
            finally:
                process.kill()


def test_the_extension_is_ready_when_it_has_asked_for_its_next_event(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lambda waits with the first invocation until then; the question stays open."""
    monkeypatch.setattr(extension_api, "TIMEOUT_S", 30)
    accepted = b"HTTP/1.1 200 OK\r\nlambda-extension-identifier: abc\r\n\r\n"
    with answering(accepted, b"") as api:
        began = time.monotonic()
        connection = register(api)
        assert connection is not None
        connection.close()
        assert time.monotonic() - began < 15
