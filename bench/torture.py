"""Cuts connections at random bytes while environments count, and holds what they were told against what was applied.

`python -m bench.torture [--cuts 1000] [--seed 1] [--result FILE]`. Exits with 1 where an acknowledged operation is not
there, one that was not acknowledged is, one is there twice, an outcome stayed unknown while the server was there, or
more than a few operations were not acknowledged.
"""

import argparse
import json
import platform
import secrets
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

from local.postgres import PostgresServer
from tests.faults.environment import Environment
from tests.faults.proxy import Action, Direction, Fault, Proxy
from tests.faults.server import run

ENVIRONMENTS = 4
LONGEST_LIFE_BYTES = 6000
"""A connection lives for up to so many bytes; a login takes about 1,500, an operation about 1,000."""
ACTIONS = (*[Action.RESET] * 10, *[Action.CLOSE] * 9, Action.SWALLOW)
"""Silence is drawn seldom: noticing it takes its bound, or the deadline where it begins behind a sign of life."""
INVOCATION_MS = 8_000
LEAST_ACKNOWLEDGED = 0.95
"""Which share of the operations must have been acknowledged: who gives up keeps every promise."""


@dataclass
class Result:
    """What was done, said and found."""

    seed: int
    cuts: int = 0
    connections: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    """`acknowledged`, or the name of the error, to how many operations ended so."""
    applied: int = 0
    acknowledged_but_missing: int = 0
    applied_but_not_acknowledged: int = 0
    counted: int = 0
    """What the counters say; the same as `applied` where nothing was done twice or by halves."""
    seconds: float = 0.0
    server: str = ""
    python: str = platform.python_version()

    @property
    def holds(self) -> bool:
        """Say whether all that was promised was kept."""
        wrong = self.acknowledged_but_missing + self.applied_but_not_acknowledged + self.outcomes["CommitUnknownError"]
        acknowledged, all_told = self.outcomes["acknowledged"], self.outcomes.total()
        survived = acknowledged > 0 and acknowledged >= LEAST_ACKNOWLEDGED * all_told
        return survived and not wrong and self.applied == self.counted == acknowledged


def fault_for(seed: int, number: int) -> list[Fault]:
    """Return how the connection of this number ends."""
    chance = Random(f"{seed}/{number}")  # noqa: S311 - to be repeated, not to be secret
    action, direction = chance.choice(ACTIONS), chance.choice(list(Direction))
    return [Fault(action, direction, after_bytes=chance.randrange(LONGEST_LIFE_BYTES))]


def torture(server: PostgresServer, *, cuts: int, seed: int) -> Result:
    """Count on `server` until `cuts` connections have been cut."""
    _prepare(server)
    result, said = Result(seed=seed), {}
    began = time.monotonic()
    with Proxy(server.port, settle_s=0) as proxy:
        proxy.faults = lambda number: fault_for(seed, number)
        with ExitStack() as stack:
            environments = [stack.enter_context(_environment(server, proxy)) for _ in range(ENVIRONMENTS)]
            with ThreadPoolExecutor(ENVIRONMENTS) as threads:
                for told in threads.map(partial(_count, proxy, cuts), range(ENVIRONMENTS), environments):
                    said.update(told)
        result.cuts, result.connections = proxy.strikes(), proxy.traffic().connections
    result.seconds = round(time.monotonic() - began, 1)
    _judge(server, result, said)
    return result


Operation = tuple[int, int]
"""Worker and number."""


def _prepare(server: PostgresServer) -> None:
    run(server, "drop table if exists torture_ledger, torture_counters")
    run(server, "create table torture_ledger (worker int, number int, primary key (worker, number))")
    run(server, "create table torture_counters (worker int primary key, value bigint not null)")
    run(server, "insert into torture_counters select n, 0 from generate_series(-1, 63) n")


def _environment(server: PostgresServer, proxy: Proxy) -> Environment:
    url = server.url(port=proxy.port)
    return Environment(
        {"DATABASE_URL": url, "DB_TLS": "insecure-local-only", "DB_SILENCE_S": "0.3", "DB_RESERVE_S": "2"}
    )


def _count(proxy: Proxy, cuts: int, worker: int, environment: Environment) -> dict[Operation, str]:
    """Let one environment count until enough was cut; return what each operation ended with."""
    told: dict[Operation, str] = {}
    while proxy.strikes() < cuts:
        operation = worker, len(told)
        environment.send("count_up", remaining_ms=INVOCATION_MS, worker=worker, number=len(told))
        told[operation] = environment.receive(timeout_s=3 * INVOCATION_MS / 1000)
    return told


def _judge(server: PostgresServer, result: Result, said: dict[Operation, str]) -> None:
    applied = {(worker, number) for worker, number in run(server, "select worker, number from torture_ledger")}
    acknowledged = {operation for operation, outcome in said.items() if outcome == "acknowledged"}
    result.outcomes.update(said.values())
    result.applied = len(applied)
    result.acknowledged_but_missing = len(acknowledged - applied)
    result.applied_but_not_acknowledged = len(applied - acknowledged)
    [[own, shared]] = run(
        server,
        "select sum(value) filter (where worker >= 0), sum(value) filter (where worker < 0) from torture_counters",
    )
    result.counted = int(own) if own == shared else -1
    [[result.server]] = run(server, "show server_version")


def main() -> int:
    """Run it on a server of its own, and say what came out."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--result", type=Path)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        PostgresServer(Path(folder) / "data", secrets.token_urlsafe()) as server,
    ):
        result = torture(server, cuts=options.cuts, seed=options.seed)
    report = json.dumps({**vars(result), "holds": result.holds}, indent=2)
    print(report)
    if options.result:
        options.result.write_text(report + "\n")
    return 0 if result.holds else 1


if __name__ == "__main__":
    sys.exit(main())
