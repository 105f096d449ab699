"""What the torture takes for a promise kept."""

import json
from collections import Counter
from pathlib import Path

import pytest

from bench.torture import Result

COMMITTED = Path(__file__).parents[2] / "bench" / "torture.json"


def result(acknowledged: int, applied: int, counted: int, **errors: int) -> Result:
    outcomes = Counter({"acknowledged": acknowledged, **errors})
    return Result(seed=1, outcomes=outcomes, applied=applied, counted=counted)


@pytest.mark.parametrize(
    ("told", "holds"),
    [
        (result(100, 100, 100), True),
        (result(95, 95, 95, DeadlineExceededError=5), True),
        (result(94, 94, 94, DeadlineExceededError=6), False),
        (result(0, 0, 0, UnreachableError=100), False),
        (result(0, 0, 0), False),
        (result(100, 100, 99), False),
        (result(100, 101, 101), False),
        (result(99, 99, 99, CommitUnknownError=1), False),
    ],
)
def test_a_torture_holds_only_where_the_work_was_done(told: Result, *, holds: bool) -> None:
    """Nothing lost, nothing double, nothing in doubt, and hardly anything given up."""
    assert told.holds is holds


def test_the_committed_run_holds() -> None:
    """A thousand cuts, with what was said of each operation."""
    told = json.loads(COMMITTED.read_text())
    again = Result(seed=told["seed"], outcomes=Counter(told["outcomes"]), applied=told["applied"])
    again.counted, again.acknowledged_but_missing = told["counted"], told["acknowledged_but_missing"]
    again.applied_but_not_acknowledged = told["applied_but_not_acknowledged"]
    assert again.holds
    assert told["cuts"] >= 1000
