"""`make bench-flights`: count, print, and write bench/flights.md and bench/flights.json beside this package."""

import json
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from bench.flights.cases import CASES, Case, prepare, prepared
from bench.flights.peers import PEERS, Target, versions
from bench.server import own_server
from local.postgres import PostgresServer
from tests.faults.proxy import Proxy
from tests.faults.tls import Authority

REPORT = Path(__file__).parents[1] / "flights.md"

Counts = dict[str, dict[str, int]]
"""By case and peer."""


def main() -> None:
    """Count everything on a server of our own."""
    with ExitStack() as stack:
        server, authority = stack.enter_context(own_server())
        proxy = stack.enter_context(Proxy(server.port))
        _make_tables(server)
        counts = {case.title: _count(case, server, proxy, authority) for case in CASES}
        report = render(counts)
    print(report)
    REPORT.write_text(report)
    REPORT.with_suffix(".json").write_text(json.dumps({"versions": versions(), "flights": counts}, indent=1) + "\n")


def _make_tables(server: PostgresServer) -> None:
    engine = create_engine(server.url().replace("postgresql", "postgresql+psycopg", 1), poolclass=NullPool)
    with engine.begin() as connection:
        prepare(connection)


def _count(case: Case, server: PostgresServer, proxy: Proxy, authority: Authority) -> dict[str, int]:
    target = Target(proxy.port, server.password, authority.file if case.tls else None)
    counts = {}
    for name, make in PEERS.items():
        peer = prepared(case, make, target)
        links, before = len(proxy.links), proxy.traffic()
        case.run(peer)
        opened = sum(link.traffic().flights for link in proxy.links[links:])
        counts[name] = opened if case.new_connection else (proxy.traffic() - before).flights
        peer.close()
    return counts


def render(counts: Counts) -> str:
    """Return the table as Markdown."""
    names = list(PEERS)
    lines = [
        "# Flights",
        "",
        "Network round trips of each piece of work, counted by a proxy between client and server: exact, and the same",
        "on every machine. Every driver runs under SQLAlchemy with a pool of one connection. Slotwise's numbers",
        "include a time limit on the server (`statement_timeout`, from what the invocation has left) and a liveness",
        "check at each borrow; the others' do not, unless the row says so. `make bench-flights` counts again.",
        "",
        f"| | {' | '.join(names)} | must |",
        f"|---|{'---:|' * (len(names) + 1)}",
    ]
    for case in CASES:
        row = [str(counts[case.title][name]) for name in names]
        lines.append(f"| {case.title} | **{row[0]}** | {' | '.join(row[1:])} | {case.must} |")
    compared = ", ".join(f"{name} {number}" for name, number in versions().items())
    return "\n".join([*lines, "", f"Compared: {compared}.", ""])


if __name__ == "__main__":
    main()
