"""An environment's INIT, and the extension that is registered there."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from db import Credentials, Database, DatabaseSettings, Deadline, Login, SecretError, Tls
from db.environment.extension_api import register
from db.environment.lifecycle import Lifecycle
from db.environment.process import LambdaProcess
from db.settings import AtInit
from local.postgres import free_port

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
    lifecycle(credentials, IN_LAMBDA).begin()
    runner.run_before_snapshot()
    assert credentials.forgotten == 1


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


def test_the_extension_is_ready_when_it_has_asked_for_its_next_event() -> None:
    """Lambda waits with the first invocation until then; the question stays open."""
    accepted = b"HTTP/1.1 200 OK\r\nlambda-extension-identifier: abc\r\n\r\n"
    with answering(accepted, b"") as api:
        began = time.monotonic()
        connection = register(api)
        assert connection is not None
        connection.close()
        assert time.monotonic() - began < 5
