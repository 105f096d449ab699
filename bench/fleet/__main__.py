"""`python -m bench.fleet`: every strategy through every scenario, then bench/fleet.md with its pictures."""

import argparse
from collections.abc import Callable
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from bench.fleet import scenarios
from bench.fleet.measuring import measure
from bench.fleet.plots import draw, plain
from bench.fleet.pooler import PROGRAM
from bench.fleet.report import report
from bench.fleet.results import Result, load, merged, result_of, save
from bench.fleet.scenarios import Scenario

BENCH = Path(__file__).parents[1]
AROUND_S = 14.0
"""How long starting, the last answers and the end take, for the progress bar."""


def main() -> None:
    """Run what was asked for; what was not keeps its earlier results."""
    wanted = _arguments()
    chosen = scenarios.short() if wanted.short else scenarios.full()
    runs = [] if wanted.draw_only else _runs(chosen, wanted.scenario, wanted.strategy)
    wanted.output.mkdir(parents=True, exist_ok=True)
    saved = wanted.output / "fleet.json"
    if runs:
        _run_all(runs, saved)
    results = load(saved)
    (wanted.output / "fleet.md").write_text(report(chosen, results))
    draw(results, wanted.output)


def _runs(chosen: list[Scenario], only: list[str], names: list[str]) -> list[tuple[Scenario, str]]:
    runs = [
        (scenario, name)
        for scenario in chosen
        for name in scenario.strategies
        if (not only or scenario.name in only) and (not names or name in names)
    ]
    if PROGRAM is None and any(name == "pgbouncer" for _, name in runs):
        print("PgBouncer is not installed: it is left out (Debian: apt-get install pgbouncer)")
        return [(scenario, name) for scenario, name in runs if name != "pgbouncer"]
    return runs


def _run_all(runs: list[tuple[Scenario, str]], saved: Path) -> None:
    """Run one after the other; each result is saved at once."""
    total_s, done_s = sum(scenario.seconds + AROUND_S for scenario, _ in runs), 0.0
    with Progress(TextColumn("{task.description:50}"), BarColumn(), TimeRemainingColumn()) as progress:
        task = progress.add_task("", total=total_s)
        for scenario, name in runs:
            progress.update(task, description=f"{scenario.title}: {plain(name)}"[:50])
            result = result_of(scenario, measure(scenario, name, _ticking(progress, task, done_s)))
            save(merged(load(saved), [result]), saved)
            progress.console.print(_summary(result))
            done_s += scenario.seconds + AROUND_S
            progress.update(task, completed=done_s)


def _ticking(progress: Progress, task: int, done_s: float) -> Callable[[float], None]:
    return lambda seconds: progress.update(task, completed=done_s + seconds)  # type: ignore[arg-type]  # rich's own int


def _summary(result: Result) -> str:
    figures = result.figures
    return (
        f"{result.scenario:14} {plain(result.strategy):32} answered {figures.answered:6.1%}"
        f"  in good time {figures.in_good_time:6.1%}  p99 {figures.p99_s:5.2f} s  attempts {figures.attempts:.2f}"
        f"  peak {figures.peak}  late {figures.late_p99_s * 1000:.0f} ms  {figures.failures or ''}"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.fleet", description=__doc__)
    parser.add_argument("--short", action="store_true", help="a few seconds of it")
    parser.add_argument(
        "--scenario", action="append", default=[], help="only this one, in place of its last results; may be repeated"
    )
    parser.add_argument("--strategy", action="append", default=[], help="only this one; may be repeated")
    parser.add_argument("--draw-only", action="store_true", help="table and plots from the results that are there")
    parser.add_argument("--output", type=Path, default=BENCH, help="a directory")
    return parser.parse_args()


if __name__ == "__main__":
    main()
