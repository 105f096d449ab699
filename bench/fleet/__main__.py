"""`python -m bench.fleet`: every strategy through every scenario, then table and plots."""

import argparse
import json
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from bench.fleet import scenarios
from bench.fleet.measuring import as_json, figures, measure
from bench.fleet.pooler import PROGRAM
from bench.fleet.scenarios import Scenario

HERE = Path(__file__).parent
DRAIN_S = 6.0
"""How long the last answers and the server's start take, for the progress bar."""


def main() -> None:
    """Run what was asked for."""
    wanted = _arguments()
    chosen = [
        scenario for scenario in _scenarios(wanted.short) if not wanted.scenario or scenario.name in wanted.scenario
    ]
    runs = [(scenario, name) for scenario in chosen for name in _strategies(scenario, wanted.strategy)]
    columns = (
        TextColumn("{task.description:42}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as progress:
        results = _run_all(runs, progress)
    wanted.output.write_text(json.dumps(results))


def _run_all(runs: list[tuple[Scenario, str]], progress: Progress) -> list[dict[str, object]]:
    task = progress.add_task("", total=sum(scenario.seconds + DRAIN_S for scenario, _ in runs))
    done_s, results = 0.0, list[dict[str, object]]()
    for scenario, name in runs:
        progress.update(task, description=f"{scenario.title}: {name}"[:42])

        def tick(seconds: float, done_s: float = done_s) -> None:
            progress.update(task, completed=done_s + seconds)

        run = measure(scenario, name, tick)
        results.append(as_json(scenario, run))
        progress.console.print(figures(scenario, run))
        done_s += scenario.seconds + DRAIN_S
    return results


def _scenarios(short: bool) -> list[Scenario]:  # noqa: FBT001 - a command's flag
    return scenarios.short() if short else scenarios.full()


def _strategies(scenario: Scenario, wanted: list[str]) -> list[str]:
    names = [name for name in scenario.strategies if not wanted or name in wanted]
    if "pgbouncer" in names and PROGRAM is None:
        print("PgBouncer is not installed: it is left out (Debian: apt-get install pgbouncer)")
        names.remove("pgbouncer")
    return names


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.fleet", description=__doc__)
    parser.add_argument("--short", action="store_true", help="a few seconds instead of half an hour")
    parser.add_argument("--scenario", action="append", help="only this one; may be repeated")
    parser.add_argument("--strategy", action="append", help="only this one; may be repeated")
    parser.add_argument("--output", type=Path, default=HERE / "results.json")
    return parser.parse_args()


if __name__ == "__main__":
    main()
