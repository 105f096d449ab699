"""Runs one strategy through one scenario, and turns what happened into figures."""

import contextlib
import multiprocessing
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.fleet.pooler import pgbouncer
from bench.fleet.scenarios import Scenario
from bench.fleet.server import Cpu, Seen, Watch, start
from bench.fleet.service import Answer, serve
from local.postgres import PostgresServer

GOOD_TIME_S = 1.0
"""An answer is in good time that comes at most so much later than it would with a connection at hand."""

Tick = Callable[[float], None]
"""Told how many seconds of the run have gone by."""


@dataclass(frozen=True, slots=True)
class Run:
    """All that was seen of one strategy in one scenario."""

    scenario: str
    strategy: str
    answers: list[Answer]
    seen: list[Seen]
    logins: dict[str, int]
    server_cpu_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One line of the table."""

    strategy: str
    requests: int
    answered: float
    """The share of the requests that were answered, and not with an error."""
    in_good_time: float
    p50_s: float
    p99_s: float
    attempts: float
    """Attempts to connect for each answer, and those that succeeded."""
    connects: float
    peak: int
    mean: float
    idle: float
    """The share of the connections that were idle, on average."""
    server_cpu_s: float
    late_p99_s: float
    """How late the benchmark was to hand out requests: where that is much, the figures tell of the machine."""
    recovery_s: float
    """How long after the disturbance the last failure or late answer was: 0 for none."""
    refused_logins: int
    """How often an administrator was not let in for want of a slot."""
    failures: dict[str, int]
    opened: float = 0.0
    """Connections opened by each environment."""


def measure(scenario: Scenario, strategy: str, tick: Tick) -> Run:
    """Run it on a server of its own."""
    with tempfile.TemporaryDirectory(prefix="fleet-") as name:
        directory = Path(name)
        directory.chmod(0o755)
        server = start(directory, scenario)
        try:
            with _front(directory, server, scenario, strategy) as (port, in_front):
                return _measured(server, scenario, strategy, port, in_front, tick)
        finally:
            server.stop("immediate")


@contextlib.contextmanager
def _front(
    directory: Path, server: PostgresServer, scenario: Scenario, strategy: str
) -> Iterator[tuple[int, Sequence[int]]]:
    """Give the port that the environments connect to, and the processes in front whose work counts as the server's."""
    if strategy != "pgbouncer":
        yield server.port, []
        return
    with pgbouncer(directory, server, scenario) as (port, pid):
        yield port, [pid]


def _measured(
    server: PostgresServer, scenario: Scenario, strategy: str, port: int, in_front: Sequence[int], tick: Tick
) -> Run:
    urls = {role: f"postgresql://{role}:{server.password}@127.0.0.1:{port}/postgres" for role in scenario.functions}
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=serve, args=(scenario, strategy, urls, theirs))
    process.start()
    theirs.close()  # so that `ours` tells when the service has died
    ours.recv()
    with Watch(server, list(scenario.functions)) as watch:
        cpu = Cpu(server, in_front)
        ours.send("go")
        with _disturbed(cpu, scenario):
            answers = _wait(ours, tick)
        used_s = cpu.used_s()
    process.join()
    return Run(scenario.name, strategy, answers, watch.seen, dict(watch.logins), used_s)


def _wait(report: Any, tick: Tick) -> list[Answer]:  # noqa: ANN401 - a Connection of either platform
    began = time.monotonic()
    while not report.poll(0.25):
        tick(time.monotonic() - began)
    answers: list[Answer] = report.recv()
    return answers


@contextlib.contextmanager
def _disturbed(cpu: Cpu, scenario: Scenario) -> Iterator[None]:
    """Restart the server in the middle, where the scenario says so."""
    if scenario.restart_at_s is None:
        yield
        return
    timer = threading.Timer(scenario.restart_at_s, cpu.restart)
    timer.start()
    yield
    timer.join()


def figures(scenario: Scenario, run: Run) -> Figures:
    """Return the run's line of the table."""
    answered = [answer for answer in run.answers if answer.failure is None]
    latencies = sorted(answer.latency_s for answer in answered) or [float("nan")]
    counts = [seen.active + seen.idle for seen in run.seen] or [0]
    return Figures(
        strategy=run.strategy,
        requests=len(run.answers),
        answered=len(answered) / len(run.answers),
        in_good_time=sum(is_good(scenario, answer) for answer in run.answers) / len(run.answers),
        p50_s=latencies[len(latencies) // 2],
        p99_s=latencies[int(len(latencies) * 0.99)],
        attempts=sum(answer.attempts for answer in run.answers) / max(1, len(answered)),
        connects=sum(answer.connects for answer in run.answers) / max(1, len(answered)),
        peak=max(counts),
        mean=sum(counts) / len(counts),
        idle=sum(seen.idle for seen in run.seen) / max(1, sum(counts)),
        server_cpu_s=run.server_cpu_s,
        late_p99_s=sorted(answer.late_s for answer in run.answers)[int(len(run.answers) * 0.99)],
        recovery_s=_recovery_s(scenario, run.answers),
        refused_logins=run.logins.get("refused", 0),
        failures=dict(Counter(answer.failure for answer in run.answers if answer.failure is not None)),
        opened=sum(answer.connects for answer in run.answers) / max(1, sum(answer.cold for answer in run.answers)),
    )


def is_good(scenario: Scenario, answer: Answer) -> bool:
    """Say whether the answer came, and in good time."""
    allowed_s = scenario.ideal_s + GOOD_TIME_S + (scenario.cold_start_s if answer.cold else 0)
    return answer.failure is None and answer.latency_s <= allowed_s


def _recovery_s(scenario: Scenario, answers: Sequence[Answer]) -> float:
    disturbed_at_s = scenario.restart_at_s or scenario.deploy_at_s or scenario.phases[0].seconds
    bad = [
        answer.at_s - disturbed_at_s
        for answer in answers
        if not is_good(scenario, answer) and answer.at_s >= disturbed_at_s - scenario.ideal_s
    ]
    return max([0.0, *bad])
