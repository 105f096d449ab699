"""One execution environment: a forked process that serves one invocation at a time and knows nothing of the others."""

import json
import os
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass

from bench.fleet.counting import Counts, Transact
from bench.fleet.scenarios import Scenario
from bench.fleet.strategies import STRATEGIES

MESSAGE_BYTES = 4096


@dataclass
class Environment:
    """The service's end of it."""

    pid: int
    channel: socket.socket
    idle_since: float = 0.0
    is_cold: bool = True

    def invoke(self, function: str, left_s: float) -> None:
        """Hand it an invocation; the first one makes it an environment of `function` for good."""
        self.channel.send(json.dumps({"function": function, "left_s": left_s}).encode())

    def answer(self) -> dict[str, object] | None:
        """Return what it says; None where it has died."""
        said = self.channel.recv(MESSAGE_BYTES)
        return json.loads(said) if said else None


def launch(scenario: Scenario, strategy: str, urls: Mapping[str, str]) -> Environment:
    """Fork an environment that will serve with `strategy`; it does nothing until it is asked."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        ours.close()
        _live(scenario, strategy, urls, theirs)
    theirs.close()
    return Environment(pid, ours)


def _live(scenario: Scenario, strategy: str, urls: Mapping[str, str], channel: socket.socket) -> None:
    """Serve until nobody asks any more; never return."""
    try:
        counts, transact = Counts(), None
        while said := channel.recv(MESSAGE_BYTES):
            request = json.loads(said)
            if transact is None:
                time.sleep(scenario.cold_start_s)
                transact = STRATEGIES[strategy](urls[request["function"]], scenario, counts)
            channel.send(json.dumps(_serve(transact, scenario, request["left_s"], counts)).encode())
    finally:
        os._exit(0)


def _serve(transact: Transact, scenario: Scenario, left_s: float, counts: Counts) -> dict[str, object]:
    counts.reset()
    began = time.monotonic()
    failure = None
    try:
        transact(scenario.work_s, left_s)
    except Exception as error:  # noqa: BLE001 - whatever a peer raises is a failed request
        failure = type(error).__name__
    database_s = time.monotonic() - began
    if failure is None:
        time.sleep(scenario.rest_s)
    return {
        "failure": failure,
        "database_s": database_s,
        "attempts": counts.attempts,
        "connects": counts.connects,
    }
