"""bench/fleet.md: a table for each scenario."""

from collections.abc import Sequence

from bench.fleet.results import Result
from bench.fleet.scenarios import OURS, Scenario

NAMES = {
    OURS: "**Slotwise**",
    "pgbouncer": "PgBouncer, transaction mode",
    "null_pool": "SQLAlchemy NullPool",
    "queue_pool": "SQLAlchemy QueuePool 5+10",
    "kept": "connection kept in a module",
    "psycopg2_pool": "psycopg2 SimpleConnectionPool",
    "psycopg_pool": "psycopg_pool",
    "serverless_mysql": "rules of serverless-mysql",
    "serverless_postgres": "rules of serverless-postgres",
}

INTRODUCTION = """# A fleet against few slots

Written by `make bench-fleet`; do not edit. Real processes as execution environments (one invocation at a time,
most recently used first, frozen with SIGSTOP in between, abandoned after idling), a real PostgreSQL with few slots for
the functions, requests from one seeded trace that come whether or not the last ones were answered. Everything runs on
one machine without TLS, so connecting costs less than in a VPC, and server CPU is best read as a ratio. The slots are
the roles' connection limits; the server has five more, in which attempts end that are refused.

Peers hold no slot after the transaction where their library lets one give it back. NullPool, QueuePool and the kept
connection use psycopg2, and so do the rules of serverless-mysql 1.5.4 and serverless-postgres 1.3.0, written anew from
what those do. psycopg_pool has one connection and checks it; behind PgBouncer each environment keeps one to it.

- *In good time*: answered, at most 1 s later than with a connection at hand.
- *Attempts*, *connects*: for each answer; an attempt that finds no slot is not a connect.
- *Opened*: connections that an environment opened, on average; 1 is the first one and no other.
- *Peak*, *mean*, *idle*: the functions' connections on the server, and the share of them that did nothing.
- *CPU*: of the server, and of PgBouncer where it is in front.
- *Late*: how late the benchmark itself was to hand out a request, p99. Where that is much, the machine was too busy.
- *Recovery*: from the disturbance (spike, restart, deployment) to the last request without an answer in good time.
- *Admin refused*: how often an administrator found no slot, at two log-ins a second.

![Connections over time](fleet-connections.png)
![Answered in good time](fleet-answered.png)
![What answers waited](fleet-waits.png)
"""

HEADER = (
    "| | answered | in good time | p50 | p99 | attempts | connects | opened | peak | mean | idle | CPU | late |"
    " recovery | admin refused |\n"
    "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
)


PROMISED = ("x3", "x6", "x10")
PROMISES = (
    "\n## What is promised of 3, 6 and 10 x more environments than slots\n\n"
    "| | answered: 100 % | of the ideal throughput: 95 % | of PgBouncer's: 95 % | attempts: 1.05 | peak: the slots |"
    " admin refused: 0 |\n|---|--:|--:|--:|--:|--:|--:|\n"
)


def report(scenarios: Sequence[Scenario], results: Sequence[Result]) -> str:
    """Return the whole file."""
    sections = [_section(scenario, [one for one in results if one.scenario == scenario.name]) for scenario in scenarios]
    return INTRODUCTION + _promises(scenarios, results) + "".join(section for section in sections if section)


def _promises(scenarios: Sequence[Scenario], results: Sequence[Result]) -> str:
    """Return what is promised beside what was measured; what comes in good time counts as throughput."""
    figures = {(result.scenario, result.strategy): result.figures for result in results}
    lines = []
    for scenario in scenarios:
        ours, theirs = (figures.get((scenario.name, strategy)) for strategy in (OURS, "pgbouncer"))
        if scenario.name in PROMISED and ours and theirs:
            cells = [
                scenario.title,
                _percent(ours.answered),
                _percent(ours.in_good_time),
                f"{ours.in_good_time / theirs.in_good_time:.1%}",
                f"{ours.attempts:.2f}",
                f"{ours.peak} of {scenario.slots}",
                f"{ours.refused_logins}",
            ]
            lines.append(f"| {' | '.join(cells)} |\n")
    return PROMISES + "".join(lines)


def _section(scenario: Scenario, results: Sequence[Result]) -> str:
    if not results:
        return ""
    order = list(NAMES)
    lines = [_line(result) for result in sorted(results, key=lambda result: order.index(result.strategy))]
    return f"\n## {scenario.title[0].upper()}{scenario.title[1:]}\n\n{_circumstances(scenario)}\n\n{HEADER}" + "".join(
        lines
    )


def _circumstances(scenario: Scenario) -> str:
    phases = ", then ".join(f"{phase.per_s:g} requests/s for {phase.seconds:g} s" for phase in scenario.phases)
    return (
        f"{scenario.slots} slots; {phases}; in each invocation {scenario.work_s:g} s in a transaction and"
        f" {scenario.rest_s:g} s of other work."
    )


def _line(result: Result) -> str:
    figures = result.figures
    cells = [
        NAMES[result.strategy],
        _percent(figures.answered),
        _percent(figures.in_good_time),
        f"{figures.p50_s:.2f} s",
        f"{figures.p99_s:.2f} s",
        f"{figures.attempts:.2f}",
        f"{figures.connects:.2f}",
        f"{figures.opened:.2f}" if figures.opened else "",
        f"{figures.peak}",
        f"{figures.mean:.1f}",
        f"{figures.idle:.0%}",
        f"{figures.server_cpu_s:.1f} s",
        f"{figures.late_p99_s * 1000:.0f} ms",
        f"{figures.recovery_s:.1f} s",
        f"{figures.refused_logins}",
    ]
    return f"| {' | '.join(cells)} |\n"


def _percent(share: float) -> str:
    """Return a share that is 100 % only where nothing is missing."""
    return "100 %" if share == 1 else f"{min(share * 100, 99.9):.1f} %"
