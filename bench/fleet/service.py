"""Lambda's part: hands each request to an environment, starts, freezes and forgets environments.

One invocation at a time in an environment, the most recently used first, a new one where none is idle, frozen between
invocations, killed at its time-out, never told that it is not needed any more. The processes of new ones are forked
before the run, so that forking is not part of what is measured.
https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
"""

import gc
import os
import selectors
import signal
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection

from bench.fleet.environment import Environment, launch
from bench.fleet.scenarios import Scenario
from bench.fleet.trace import Arrival


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of one request."""

    at_s: float
    function: str
    latency_s: float
    late_s: float = 0.0
    """How late the request was handed to an environment: the benchmark's own fault."""
    failure: str | None = None
    version: int = 1
    cold: bool = False
    attempts: int = 0
    connects: int = 0


@dataclass(slots=True)
class Running:
    """An invocation that goes on."""

    arrival: Arrival
    environment: Environment
    version: int
    gives_up_at: float
    cold: bool
    late_s: float


class Service:
    """All environments of one run."""

    def __init__(self, scenario: Scenario, strategy: str, urls: Mapping[str, str]) -> None:
        self._scenario = scenario
        self._selector = selectors.DefaultSelector()
        self._idle: dict[tuple[str, int], list[Environment]] = defaultdict(list)
        self._running: dict[int, Running] = {}
        self._blank = [launch(scenario, strategy, urls) for _ in range(scenario.max_environments)]
        self._all = list(self._blank)
        self._version = 1
        self._began = 0.0
        self.answers: list[Answer] = []

    def run(self) -> None:
        """Serve all requests of the trace, and wait for the last answer."""
        due = deque(self._scenario.arrivals())
        self._began = time.monotonic()
        while due or self._running:
            self._deploy()
            self._retire()
            while due and due[0].at_s <= self._now():
                self._dispatch(due.popleft())
            self._expire()
            self._listen(self._until_next(due))

    def close(self) -> None:
        """End every environment."""
        for environment in self._all:
            os.kill(environment.pid, signal.SIGKILL)
        for environment in self._all:
            os.waitpid(environment.pid, 0)
            environment.channel.close()

    def _now(self) -> float:
        return time.monotonic() - self._began

    def _deploy(self) -> None:
        if self._scenario.deploy_at_s is not None and self._now() >= self._scenario.deploy_at_s:
            self._version = 2

    def _retire(self) -> None:
        """Forget who has idled too long: frozen for good, its connection open as far as anybody can tell."""
        oldest = self._now() - self._scenario.vanish_after_s
        for stack in self._idle.values():
            while stack and stack[0].idle_since < oldest:
                stack.pop(0)

    def _dispatch(self, arrival: Arrival) -> None:
        stack = self._idle[arrival.function, self._version] or self._blank
        if not stack:
            self._note(arrival, failure="throttled")
            return
        environment = stack.pop()
        left_s = self._scenario.timeout_s
        gives_up_at = self._now() + left_s + self._scenario.rest_s
        late_s = self._now() - arrival.at_s
        running = Running(arrival, environment, self._version, gives_up_at, environment.is_cold, late_s)
        self._running[environment.channel.fileno()] = running
        self._selector.register(environment.channel, selectors.EVENT_READ)
        os.kill(environment.pid, signal.SIGCONT)
        environment.invoke(arrival.function, left_s)

    def _until_next(self, due: deque[Arrival]) -> float:
        moments = [running.gives_up_at for running in self._running.values()]
        if due:
            moments.append(due[0].at_s)
        return max(0.0, min(moments, default=0.0) - self._now())

    def _listen(self, at_most_s: float) -> None:
        for key, _ in self._selector.select(at_most_s):
            self._take_answer(key.fd)

    def _take_answer(self, fd: int) -> None:
        running = self._running.pop(fd)
        self._selector.unregister(fd)
        said = running.environment.answer()
        if said is None:
            self._note(running.arrival, failure="died", cold=running.cold)
            return
        os.kill(running.environment.pid, signal.SIGSTOP)
        running.environment.idle_since, running.environment.is_cold = self._now(), False
        self._idle[running.arrival.function, running.version].append(running.environment)
        said.pop("database_s")
        self._note(running.arrival, cold=running.cold, late_s=running.late_s, **said)

    def _expire(self) -> None:
        now = self._now()
        for fd, running in list(self._running.items()):
            if running.gives_up_at <= now:
                del self._running[fd]
                self._selector.unregister(fd)
                os.kill(running.environment.pid, signal.SIGKILL)
                self._note(running.arrival, failure="timed out", cold=running.cold)

    def _note(self, arrival: Arrival, **said: object) -> None:
        latency_s = self._now() - arrival.at_s
        self.answers.append(
            Answer(
                at_s=arrival.at_s,
                function=arrival.function,
                latency_s=latency_s,
                version=self._version,
                **said,  # type: ignore[arg-type]  # JSON by Answer's names
            )
        )


def serve(scenario: Scenario, strategy: str, urls: Mapping[str, str], report: Connection) -> None:
    """Run in a process of its own, from which the environments are forked; send back the answers."""
    gc.freeze()
    service = Service(scenario, strategy, urls)
    report.send("ready")
    report.recv()
    try:
        service.run()
    finally:
        service.close()
    report.send(service.answers)
