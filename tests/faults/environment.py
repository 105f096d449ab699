"""An execution environment as Lambda has it: a process that serves one invocation at a time and is frozen in between.

A real child process with a `Database` of its own; the test freezes, thaws, kills and clones it. What it does in an
invocation is in `workload.py`.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[2]


class FailedInvocationError(Exception):
    """The invocation ended in an error; its type's name is `kind`."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind = kind


class Environment:
    """One child process; `settings` are the environment variables of db.settings."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._channel, theirs = socket.socketpair()
        command = [sys.executable, "-m", "tests.faults.workload", str(theirs.fileno())]
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", **settings}
        self._process: subprocess.Popen[bytes] | None = subprocess.Popen(
            command, env=environment, pass_fds=[theirs.fileno()], cwd=ROOT
        )
        theirs.close()
        self.pid = self._process.pid
        self._lines = self._channel.makefile("r")

    @classmethod
    def _cloned(cls, channel: socket.socket) -> Self:
        clone = cls.__new__(cls)
        clone._channel, clone._process, clone._lines = channel, None, channel.makefile("r")
        clone.pid = clone.receive()
        return clone

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill it, frozen or not."""
        self.kill()

    # --- invocations ---

    def send(self, work: str, *, remaining_ms: float = 5000, **arguments: Any) -> None:  # noqa: ANN401 - JSON
        """Begin an invocation of `work`, and do not wait for it."""
        order = {"work": work, "remaining_ms": remaining_ms, "arguments": arguments}
        self._channel.sendall(json.dumps(order).encode() + b"\n")

    def receive(self, timeout_s: float = 30) -> Any:  # noqa: ANN401 - JSON
        """Return what the invocation returned; raise FailedInvocationError where it failed."""
        self._channel.settimeout(timeout_s)
        answer = json.loads(self._lines.readline())
        if "error" in answer:
            raise FailedInvocationError(answer["error"], answer["text"])
        return answer["result"]

    def invoke(self, work: str, **arguments: Any) -> Any:  # noqa: ANN401 - JSON
        """Run `work` and return its result."""
        self.send(work, **arguments)
        return self.receive()

    # --- what Lambda does to it ---

    def freeze(self) -> None:
        """Stop every thread where it is."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on as if no time had passed."""
        os.kill(self.pid, signal.SIGCONT)

    def shut_down(self) -> None:
        """Ask it to end, as Lambda does before it takes the environment away."""
        os.kill(self.pid, signal.SIGTERM)

    def wait(self, timeout_s: float = 10) -> int:
        """Wait for its end and return its exit code."""
        assert self._process is not None, "a clone is its parent's child"
        self._channel.settimeout(timeout_s)
        self._lines.read()  # ends with the process; waiting for the process itself looks only 20 times a second
        return self._process.wait(timeout_s)

    def kill(self) -> None:
        """End it at once, in whatever it does; the operating system closes its sockets."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        if self._process is not None:
            self._process.wait(10)
        self._lines.close()
        self._channel.close()

    def clone(self) -> "Environment":
        """Return a fork of it, as a snapshot that is restored once more; both go on."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._channel.sendall(b'{"work": "clone"}\n')
            assert self.receive() == "ready"
            socket.send_fds(self._channel, [b"!"], [theirs.fileno()])
            assert self.receive() == "cloned"
        return self._cloned(ours)
