"""The canary itself: it sees what it looks for, and a run in which it does fails."""

import fnmatch
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.canary import VALUE, files_with_a_word
from tests.clearing import remove_unseen

ROOT = Path(__file__).parents[2]

LEAKING = Path(__file__).with_name("leaking.py")
LEAKS = {
    "test_output": "::test_output: Captured stdout",
    "test_errors": "::test_errors: Captured stderr",
    "test_log": "::test_log: Captured log",
    "test_temporary_file": "file */temporary",
    "test_own_file": "file */test_own_file0/x",
    "test_file_in_tmp": "file /tmp/in_tmp",
    "test_removed": "file */test_removed0/f/x, which is gone now",
    "test_cleaned": "file */cleaned*/x, which is gone now",
    "test_guarded": "file */test_guarded0/f/x, which is gone now",
    "test_make_run": "what a child process said in *::test_make_run ",
    "test_childs_output": "::test_childs_output: Captured stdout",
    "test_pipe": "what a child process said in *::test_pipe ",
    "test_title": "::test_title: title of process",
}
"""Where each test of leaking.py leaves a password or a value."""


def run(folder: Path, suite: Path) -> subprocess.CompletedProcess[str]:
    """Run a suite with a canary and a directory of its own."""
    options = ["-p", "tests.searching", "-p", "no:cacheprovider", "-c", "/dev/null", "--noconftest"]
    command = [sys.executable, "-m", "pytest", "-q", *options, f"--basetemp={folder / 'base'}", str(suite)]
    environ = {name: value for name, value in os.environ.items() if name != "CANARY_RUN"}
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, env=environ)


def test_a_run_that_leaks_nothing_of_its_own_passes(folder: Path) -> None:
    """Innocent output is no leak, nor is a word of a run beside it."""
    (folder / "test_one.py").write_text(f'def test_one(): print("innocent, {VALUE}")')
    done = run(folder, folder / "test_one.py")
    assert done.returncode == 0, done.stdout


def test_a_run_that_leaks_once_fails(folder: Path) -> None:
    """Though its test passes."""
    (folder / "test_one.py").write_text("from tests.canary import VALUE\ndef test_one(): print(VALUE)")
    done = run(folder, folder / "test_one.py")
    assert done.returncode == 1, done.stdout
    assert "1 passed" in done.stdout


@pytest.fixture(scope="module")
def leaks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Where a run says that it leaks whose tests do, each in another way."""
    folder, said = tmp_path_factory.mktemp("leaking"), "CANARY: a password or a bound value is in "
    done = run(folder, LEAKING)
    assert f"{len(LEAKS)} passed" in done.stdout, done.stdout
    yield [line.removeprefix(said) for line in done.stdout.splitlines() if line.startswith(said)]
    remove_unseen(folder)


@pytest.mark.parametrize("where", LEAKS.values(), ids=LEAKS)
def test_a_leak_is_found_and_it_is_said_where(leaks: list[str], where: str) -> None:
    """Whatever way a password or a value takes out of a test that passes."""
    assert fnmatch.filter(leaks, f"*{where}*"), leaks


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A directory whose content is taken away at once: the run that this test is part of is searched, too."""
    yield tmp_path
    remove_unseen(tmp_path)


def test_of_a_database_only_the_log_is_looked_at(folder: Path) -> None:
    """Values belong into a database's files, and not into its log."""
    database = folder / "data"
    (database / "base").mkdir(parents=True)
    for name in ("PG_VERSION", "base/1", "server.log"):
        (database / name).write_text(VALUE)
    assert list(files_with_a_word(folder)) == [database / "server.log"]


def test_of_a_folder_that_others_use_only_what_is_new_is_looked_at(folder: Path) -> None:
    """Files and folders from before the run cost no time."""
    for name in ("old/x", "new/x", "new/old"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(VALUE)
    for name in ("old", "new/old"):
        os.utime(folder / name, (1000, 1000))
    assert list(files_with_a_word(folder, since=1001)) == [folder / "new" / "x"]
