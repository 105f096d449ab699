"""`make bench-speed`: measure on loopback, print, and write bench/speed.md and bench/speed.json.

Every round runs every peer, one after the other, so that what else the machine does strikes all of them; the median of
the rounds counts, and only ratios mean anything.
"""

import json
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection, text

from bench.flights.peers import Ours, Peer, Target, psycopg2, psycopg3, select_one, stock, versions
from bench.server import own_server
from bench.speed.bare import Bare, Floor
from bench.speed.distance import distance

REPORT = Path(__file__).parents[1] / "speed.md"
ROUNDS = 9
ONE_WAY_S = 0.0005
PEERS = {"Slotwise": Ours, "pg8000": stock, "psycopg 3": psycopg3, "psycopg2": psycopg2}
FLOOR, BARE = "SQLAlchemy over a bare socket", "a bare socket"
WARM_QUERY = "warm query"

MIXED = text(
    "select n, n::bigint * 1000000007 as big, n / 7.0 as number, n / 7.0::float8 as real, 'name ' || n as name,"
    " n % 2 = 0 as even, timestamptz '2026-01-01' + n * interval '1 second' as at, date '2026-01-01' + n % 365 as day,"
    " md5(n::text)::uuid as key, jsonb_build_object('n', n) as body, null as nothing"
    " from generate_series(1, 10000) as n"
)


def fetch(connection: Connection) -> None:
    """Read ten thousand rows of eleven types."""
    rows = connection.execute(MIXED).all()
    if len(rows) != 10000:  # noqa: PLR2004 - as many as the statement makes
        raise AssertionError(len(rows))


@dataclass(frozen=True, slots=True)
class Case:
    """A piece of work, how often it is done in a round, and what of it is promised."""

    title: str
    times: int
    run: Callable[[Peer], object]
    promise: str
    tls: bool = False
    is_far: bool = False
    """Whether the server is a millisecond away (there and back), as in another availability zone."""


def _reconnect(peer: Peer) -> None:
    peer.close()
    peer.transaction(select_one)


CASES = [
    Case(WARM_QUERY, 200, lambda peer: peer.query(select_one), "0.8 of psycopg2"),
    Case("the same, 1 ms away", 50, lambda peer: peer.query(select_one), "0.8 of psycopg2", is_far=True),
    Case("warm query, a transaction", 200, lambda peer: peer.transaction(select_one), ""),
    Case("a transaction, 1 ms away", 50, lambda peer: peer.transaction(select_one), "", is_far=True),
    Case("warm query, autocommit for all", 200, lambda peer: peer.autocommit(select_one), ""),
    Case("connect and query", 20, _reconnect, "processor 1.2 of psycopg 3"),
    Case("connect and query, TLS", 20, _reconnect, "processor 1.2 of psycopg 3", tls=True),
    Case("connect and query, TLS, 1 ms away", 10, _reconnect, "", tls=True, is_far=True),
    Case("10,000 rows of 11 types", 1, lambda peer: peer.transaction(fetch), "1.0 of pg8000"),
]

Measured = dict[str, tuple[float, float]]
"""By peer: milliseconds of wall and of this process's processor time for one piece of work."""


def main() -> None:
    """Measure everything on a server of our own."""
    with ExitStack() as stack:
        server, authority = stack.enter_context(own_server())
        far = stack.enter_context(distance(server.port, ONE_WAY_S))
        measured = {
            case.title: _measure(case, Target(far if case.is_far else server.port, server.password, authority.file))
            for case in CASES
        }
    report = render(measured)
    print(report)
    REPORT.write_text(report)
    REPORT.with_suffix(".json").write_text(json.dumps({"versions": versions(), "ms": measured}, indent=1) + "\n")


def _measure(case: Case, target: Target) -> Measured:
    target = target if case.tls else replace(target, authority=None)
    makers: dict[str, Callable[..., Peer]] = PEERS | ({FLOOR: Floor, BARE: Bare} if case.title == WARM_QUERY else {})
    peers = {name: make(target, ping=False) for name, make in makers.items()}
    for peer in peers.values():
        case.run(peer)
    rounds = [{name: _time(case, peer) for name, peer in peers.items()} for _ in range(ROUNDS)]
    for peer in peers.values():
        peer.close()
    return {name: _median([each[name] for each in rounds]) for name in peers}


def _time(case: Case, peer: Peer) -> tuple[float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    for _ in range(case.times):
        case.run(peer)
    each_ms = 1000 / case.times
    return (time.perf_counter() - wall) * each_ms, (time.process_time() - processor) * each_ms


def _median(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    return statistics.median(wall for wall, _ in pairs), statistics.median(processor for _, processor in pairs)


def render(measured: dict[str, Measured]) -> str:
    """Return the ratios as Markdown."""
    lines = [
        "# Speed",
        "",
        "Slotwise's time as a ratio to each peer's in the same run: below 1 Slotwise is faster. Wall / this process's",
        "processor time, medians; on loopback, where round trips cost nothing, unless the row says otherwise. Its work",
        "includes what the others leave out: a time limit on the server, a liveness check, the transaction's id,",
        "the fleet's bookkeeping. *Warm query* is one as its users write it: `database.autocommit()`, with the others",
        "SQLAlchemy's default, `engine.connect()`. Ratios move with what else the machine does: `make bench-speed`",
        "measures again.",
        "",
        "| | to psycopg2 | to psycopg 3 | to pg8000 | Slotwise, ms | promised |",
        "|---|---:|---:|---:|---:|---|",
    ]
    for case in CASES:
        times = measured[case.title]
        ratios = [_ratio(times["Slotwise"], times[name]) for name in ("psycopg2", "psycopg 3", "pg8000")]
        own = f"{times['Slotwise'][0]:.2f} / {times['Slotwise'][1]:.2f}"
        lines.append(f"| {case.title} | {' | '.join(ratios)} | {own} | {case.promise} |")
    floor, bare, theirs = (measured[WARM_QUERY][name] for name in (FLOOR, BARE, "psycopg2"))
    left, left_us = 0.8 - floor[1] / theirs[1], (0.8 * theirs[1] - floor[1]) * 1000
    alone = [
        "No driver written in Python is faster under SQLAlchemy than one that sends a query which was encoded before,",
        "receives the answer, reads none of it, and hands out a row that it knew. Such a one takes",
        f"{_ratio(floor, theirs)} of psycopg2's times for a warm query; {_ratio(bare, theirs)} are the socket's alone.",
        f"What is left of the promised 0.8 is {left:.2f} of the processor's time, {left_us:.0f} microseconds here. To",
        "write and to read the protocol takes more in Python, before anything of what the others leave out.",
    ]
    compared = ", ".join(f"{name} {number}" for name, number in versions().items())
    return "\n".join([*lines, "", *alone, "", f"Compared: {compared}.", ""])


def _ratio(ours: tuple[float, float], theirs: tuple[float, float]) -> str:
    return f"{ours[0] / theirs[0]:.2f} / {ours[1] / theirs[1]:.2f}"


if __name__ == "__main__":
    main()
