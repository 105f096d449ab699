"""One Lambda execution environment: AWS's emulator of the runtime API, AWS's runtime client, the function in it.

As on Lambda, the processes are frozen between invocations, and an environment that timed out or died serves no more.
https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
"""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from local.guardian import Guardian
from local.postgres import free_port
from local.processes import in_session, kill_session
from local.rie import rie_program

INVOCATIONS_PATH = "/2015-03-31/functions/function/invocations"
START_TIMEOUT_S = 10
INIT_TIMEOUT_S = 10
"""Seconds that Lambda gives to the start of an environment, and that an answer may therefore take longer."""
SHUTDOWN_S = 0.5
"""Seconds between SIGTERM and SIGKILL for a function with an internal extension."""
_numbers = itertools.count(1)


class EnvironmentStartError(RuntimeError):
    """The emulator did not come up."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """What Lambda knows of a function."""

    name: str
    handler: str
    """`package.module.function`."""
    code: Path
    """The folder that Lambda would unpack to /var/task."""
    timeout_s: int = 3
    memory_mb: int = 128
    concurrency: int = 10
    """Environments at most: reserved concurrency."""
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """What became of one event."""

    environment: int
    """The environment's number; counted from 1 in this process."""
    is_cold: bool
    duration_ms: float
    payload: Any = None
    """What the function returned, or Lambda's description of its error."""
    failure: str | None = None
    """The error's type, such as `ValueError`, `Runtime.ExitError` or `Sandbox.Timedout`; None where there is none."""
    log: tuple[str, ...] = ()
    """The lines that the environment has written since the invocation before."""


class ExecutionEnvironment:
    """Serves one invocation at a time: threads take turns. Any thread may stop it, also while it serves."""

    def __init__(self, configuration: Configuration, folder: Path, guardian: Guardian) -> None:
        """Start the emulator; the function itself is loaded by the first invocation."""
        self.number = next(_numbers)
        self._configuration = configuration
        self._guardian = guardian
        self._log_path = folder / f"{configuration.name}-{self.number}.log"
        self._log_read = 0
        self._groups: tuple[int, ...] = ()
        self._is_sound = True
        self._stopping = threading.Lock()
        self._is_stopped = False
        self._address = ("127.0.0.1", free_port())
        self._process = self._start()
        self._entrust()
        self._wait_until_listening()

    @property
    def is_usable(self) -> bool:
        """Say whether it may serve another event."""
        return self._is_sound and not self._is_stopped

    def _start(self) -> subprocess.Popen[bytes]:
        host, port = self._address
        emulator = [
            *(str(rie_program()), "--log-level", "error"),
            *("--runtime-interface-emulator-address", f"{host}:{port}"),
            *("--runtime-api-address", f"{host}:{free_port()}"),
        ]
        runtime = [sys.executable, "-m", "awslambdaric", self._configuration.handler]
        with self._log_path.open("ab") as log:
            return subprocess.Popen(
                [*emulator, *runtime],
                env=variables_of(self._configuration),
                cwd=self._configuration.code,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _entrust(self) -> None:
        """Have it ended with this process; where that cannot be, end it now."""
        try:
            self._guardian.session(self._process.pid)
        except (OSError, ValueError) as error:  # the guardian is gone, or was told that this is the end
            self._kill()
            raise EnvironmentStartError(f"no execution environment for {self._configuration.name}: all ends") from error

    def _wait_until_listening(self) -> None:
        give_up_at = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < give_up_at and self._process.poll() is None:
            with suppress(OSError), socket.create_connection(self._address, timeout=1):
                return
            time.sleep(0.005)
        self.stop()
        raise EnvironmentStartError(f"no execution environment for {self._configuration.name}: {self.new_lines()}")

    def invoke(self, event: bytes) -> Invocation:
        """Thaw, hand over the event, freeze again. An environment that fails is not usable afterwards."""
        is_cold = not self._groups
        self._signal(signal.SIGCONT)
        started = time.perf_counter()
        answer = self._post(event)
        duration_ms = (time.perf_counter() - started) * 1000
        payload, failure, self._is_sound = outcome(answer)
        self._groups = self._groups or self._runtime_groups()
        self._signal(signal.SIGSTOP)
        return Invocation(
            environment=self.number,
            is_cold=is_cold,
            duration_ms=duration_ms,
            payload=payload,
            failure=failure,
            log=self.new_lines(),
        )

    def _post(self, body: bytes) -> tuple[int, bytes] | None:
        """Return status and body of the emulator's answer; None where it gives none."""
        connection = HTTPConnection(*self._address, timeout=self._configuration.timeout_s + INIT_TIMEOUT_S)
        try:
            connection.request("POST", INVOCATIONS_PATH, body)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, HTTPException):
            return None
        finally:
            connection.close()

    def _runtime_groups(self) -> tuple[int, ...]:
        """Return the process groups of the function: all of the session but the emulator itself."""
        members = in_session(self._process.pid)
        return tuple({member.group for member in members if member.pid != self._process.pid})

    def runtime_states(self) -> set[str]:
        """Return the states of the function's processes, in the letters of /proc: `T` is frozen."""
        return {member.state for member in in_session(self._process.pid) if member.pid != self._process.pid}

    def _signal(self, number: signal.Signals) -> None:
        for group in self._groups:
            with suppress(ProcessLookupError):
                os.killpg(group, number)

    def new_lines(self) -> tuple[str, ...]:
        """Return the whole lines that were written since the last time."""
        with self._log_path.open("rb") as log:
            log.seek(self._log_read)
            new = log.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._log_read += len(whole)
        return tuple(whole.decode(errors="replace").splitlines())

    def stop(self) -> None:
        """End it as Lambda does: SIGTERM, which a function without an extension does not live to see, then SIGKILL.

        It may be serving an event; who waits for the answer gets a failure. The second time nothing happens.
        """
        with self._stopping:
            if self._is_stopped:
                return
            self._is_stopped = True
            self._say_that_it_ends()
            self._kill()
            self._guardian.forget_session(self._process.pid)

    def _kill(self) -> None:
        kill_session(self._process.pid)
        self._process.wait()

    def _say_that_it_ends(self) -> None:
        """Thaw the function, send it SIGTERM, and give it what Lambda gives to one with an internal extension."""
        give_up_at = time.monotonic() + SHUTDOWN_S
        self._signal(signal.SIGTERM)
        self._signal(signal.SIGCONT)
        while self._groups and self.runtime_states() and time.monotonic() < give_up_at:
            time.sleep(0.005)


def outcome(answer: tuple[int, bytes] | None) -> tuple[Any, str | None, bool]:
    """Return payload, failure, and whether the environment may serve again, from what the emulator answered.

    The emulator says 200 to all but a dead runtime, and answers a time-out with a sentence, which is no JSON.
    """
    if answer is None:
        return None, "Sandbox.Failure", False
    status, body = answer
    try:
        payload = json.loads(body or b"null")
    except ValueError:
        return {"errorMessage": body.decode(errors="replace")}, "Sandbox.Timedout", False
    is_error = isinstance(payload, dict) and payload.keys() >= {"errorMessage", "errorType"}
    failure = str(payload["errorType"]) if is_error else None
    return payload, failure, status < HTTPStatus.BAD_REQUEST


def variables_of(configuration: Configuration) -> dict[str, str]:
    """Return the environment variables of the function: Lambda's own, then the function's; none of this process's.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
    """
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "_HANDLER": configuration.handler,
        "LAMBDA_TASK_ROOT": str(configuration.code),
        "PYTHONPATH": str(configuration.code),
        "AWS_LAMBDA_FUNCTION_NAME": configuration.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(configuration.timeout_s),
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(configuration.memory_mb),
        "AWS_SAM_LOCAL": "true",
        **configuration.variables,
    }
