"""The table of how late faults are noticed."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.noticing import ROWS, Noticed, NoticedTooLateError

ROOT = Path(__file__).parents[2]
LATE = """
import itertools
times = itertools.chain([3.0], itertools.repeat(1.0))
def test_late_once(noticed): noticed(1, next(times), 2.0)
def test_late_each_time(noticed): noticed(2, 3.0, 2.0)
def test_wrong(noticed): assert not noticed
"""


def test_what_is_noticed_a_tenth_too_late_and_more_fails() -> None:
    """A bound has no allowance but the ratio, and what was too late is told too."""
    noticed = Noticed()
    noticed(1, 2.2, 2.0)
    with pytest.raises(NoticedTooLateError, match=r"row 1: noticed after 2\.201 s, bound 2\.0 s") as late:
        noticed(1, 2.201, 2.0)
    assert noticed.late == [str(late.value)]
    assert noticed.worst[1].took_s == 2.2


def test_the_worst_share_of_its_bound_is_kept() -> None:
    """However long the bound was."""
    noticed = Noticed()
    noticed(1, 0.2, 0.2)
    noticed(1, 4.0, 5.0)
    assert noticed.worst[1].bound_s == 0.2


def test_rows_that_nobody_reports_are_known() -> None:
    """All of them at the beginning; a time that was taken inside counts for each row that is named."""
    noticed = Noticed()
    assert noticed.missing == list(ROWS)
    with noticed.within(60.0, *ROWS[1:]):
        pass
    assert noticed.missing == [1]


def test_only_what_is_late_is_run_again_and_fails_where_it_is_late_each_time(tmp_path: Path) -> None:
    """A machine that stalls is forgiven, and told of; what fails otherwise has one chance, as ever."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_it.py").write_text(LATE)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.noticing", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert "2 failed, 1 passed, 3 rerun" in done.stdout
    assert done.stdout.count("late, and run again: row 1: noticed after 3.000 s, bound 2.0 s") == 1
    assert done.stdout.count("late, and run again: row 2: noticed after 3.000 s, bound 2.0 s") == 3
