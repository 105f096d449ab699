"""What is kept of a run: figures and curves, small enough to be committed, enough to draw and to tabulate."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from bench.fleet.measuring import Figures, Run, figures, is_good
from bench.fleet.scenarios import Scenario
from bench.fleet.service import Answer

CURVE_S = 0.5
"""How far apart the points of the connections' curve are."""
QUANTILES = [*range(0, 100, 5), 97, 99, 100]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One strategy in one scenario."""

    scenario: str
    title: str
    slots: int
    strategy: str
    figures: Figures
    connections: list[tuple[float, int, int]]
    """Seconds, active, idle."""
    requests: list[tuple[int, int, int]]
    """For each second: requests that came, and how many of them had no answer in good time."""
    waited_s: dict[str, float]
    """Quantiles of what the answers took beyond the work itself; percent to seconds."""


def result_of(scenario: Scenario, run: Run) -> Result:
    """Return what is kept of the run."""
    return Result(
        scenario=scenario.name,
        title=scenario.title,
        slots=scenario.slots,
        strategy=run.strategy,
        figures=figures(scenario, run),
        connections=_thinned(run),
        requests=_by_second(scenario, run),
        waited_s=_quantiles(_waited_s(scenario, answer) for answer in run.answers if answer.failure is None),
    )


def _thinned(run: Run) -> list[tuple[float, int, int]]:
    thinned: list[tuple[float, int, int]] = []
    for seen in run.seen:
        if not thinned or seen.at_s >= thinned[-1][0] + CURVE_S:
            thinned.append((round(seen.at_s, 2), seen.active, seen.idle))
    return thinned


def _by_second(scenario: Scenario, run: Run) -> list[tuple[int, int, int]]:
    came: dict[int, list[bool]] = {}
    for answer in run.answers:
        came.setdefault(int(answer.at_s), []).append(is_good(scenario, answer))
    return [(second, len(good), good.count(False)) for second, good in sorted(came.items())]


def _waited_s(scenario: Scenario, answer: Answer) -> float:
    return answer.latency_s - scenario.ideal_s - (scenario.cold_start_s if answer.cold else 0)


def _quantiles(values: Iterable[float]) -> dict[str, float]:
    ordered = sorted(values)
    last = len(ordered) - 1
    return {str(percent): round(ordered[last * percent // 100], 4) for percent in QUANTILES if ordered}


def save(results: Iterable[Result], path: Path) -> None:
    """Write the results, one a line."""
    lines = ",\n".join(json.dumps(asdict(result)) for result in results)
    path.write_text(f"[\n{lines}\n]\n")


def load(path: Path) -> list[Result]:
    """Read the results; none where there is no file."""
    return [_result(content) for content in json.loads(path.read_text())] if path.exists() else []


def _result(content: dict[str, Any]) -> Result:
    known = {declared.name: content[declared.name] for declared in fields(Result)}
    return Result(**{**known, "figures": Figures(**content["figures"])})


def merged(old: Iterable[Result], new: Iterable[Result]) -> list[Result]:
    """Return all, a new result in place of an old one of the same strategy and scenario."""
    together = {(result.scenario, result.strategy): result for result in [*old, *new]}
    return list(together.values())
