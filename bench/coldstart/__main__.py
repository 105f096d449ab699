"""`make bench-coldstart`, or `python -m bench.coldstart [RUNS]`: measure, print, write bench/coldstart.md and .json.

Each process is fresh; the forms take turns in one run, and what counts is the ratio of their medians.
"""

import json
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.coldstart import forms, report
from bench.coldstart.stage import EVENT, Stage

PROGRAM = Path(__file__).with_name("program.py")
REPORT = Path(__file__).parents[1] / "coldstart.md"
HANDLERS = ("handlers.records", "handlers.health")
RUNS = 11


@dataclass(frozen=True, slots=True)
class Runner:
    """Starts programs in the runtime's Python."""

    sdk: Path
    variables: Mapping[str, str]

    def run(self, form: Path, function: str, module: str, **more: str) -> dict[str, Any]:
        """Run one in a fresh process; add the seconds from its start to its last line, which is the result."""
        command = [str(forms.python()), "-I", "-S", "-B", str(PROGRAM), str(form), function, module, str(self.sdk)]
        said: list[tuple[float, str]] = []
        with tempfile.TemporaryFile("w+") as stderr, tempfile.TemporaryFile("w+") as stdin:
            stdin.write(EVENT)
            stdin.seek(0)
            began = time.perf_counter()
            with subprocess.Popen(
                command, env={**self.variables, **more}, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr, text=True
            ) as process:
                said += [(time.perf_counter() - began, line) for line in process.stdout or ()]
            if process.returncode:
                stderr.seek(0)
                raise RuntimeError(f"{module} out of {form.name}: {stderr.read()[-2000:]}")
        seconds, result = said[-1]
        return {"seconds": seconds, **json.loads(result)}


def main() -> None:
    """Measure everything on a server of our own."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ours, plain = forms.ours(folder / "ours"), forms.plain(folder / "plain")
        stage = stack.enter_context(Stage(folder, secrets.token_hex()))
        runner = Runner(forms.sdk(folder / "sdk"), stage.variables())
        result = {
            "runs": runs,
            "zip": zips(ours, plain),
            "import": {module: imports(runner, ours, plain, module, runs) for module in HANDLERS},
            "answer": answers(runner, ours, plain, stage, runs),
        }
    REPORT.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
    REPORT.write_text(text := report.render(result))
    print(text)


def zips(ours: Path, plain: Path) -> dict[str, int]:
    """Weigh what is uploaded."""
    return {"ours, for both processors": forms.zipped_bytes(ours), "plain, for one": forms.zipped_bytes(plain)}


def imports(runner: Runner, ours: Path, plain: Path, module: str, runs: int) -> dict[str, Any]:
    """Count once, and time in turns."""
    alone = {"AWS_LAMBDA_RUNTIME_API": "", "DB_AT_INIT": "nothing"}
    timed: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(runs):
        for name, form in (("ours", ours), ("plain", plain)):
            timed[name].append(runner.run(form, "imports", module, **alone)["seconds"])
    counted = {name: runner.run(form, "counts", module, **alone) for name, form in (("ours", ours), ("plain", plain))}
    return {name: {**counted[name], "seconds": statistics.median(timed[name])} for name in timed}


def answers(runner: Runner, ours: Path, plain: Path, stage: Stage, runs: int) -> dict[str, Any]:
    """Time, in turns, from the start of the process to the first answer; then count one of each by the proxy."""
    cases = {
        "ours, secret by the extension": (ours, "handlers.records", stage.extension()),
        "ours, secret by the API": (ours, "handlers.records", {}),
        "the usual way": (plain, "usual", {}),
    }
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in cases}
    for _ in range(runs):
        for name, (form, module, more) in cases.items():
            found[name].append(runner.run(form, "answers", module, **more))
    flights = {}
    for name, (form, module, more) in cases.items():
        with stage.counted() as count:
            runner.run(form, "answers", module, **more)
            flights[name] = count()
    return {name: _median(found[name]) | {"flights": flights[name]} for name in cases}


def _median(found: list[dict[str, Any]]) -> dict[str, Any]:
    return found[0] | {key: statistics.median(one[key] for one in found) for key in ("seconds", "resident_mb")}


if __name__ == "__main__":
    main()
