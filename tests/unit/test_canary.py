"""The canary itself: it sees what it looks for, and a run in which it does fails."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.canary import PASSWORD, VALUE, files_with_a_word, remove_unseen

ROOT = Path(__file__).parents[2]

LEAKS = {
    "output": f'print("{VALUE}-1")',
    "errors": f'import sys; print("{VALUE}-1", file=sys.stderr)',
    "log": f'import logging; logging.getLogger("db").warning("%s", "{VALUE}-1")',
    "temporary file": "import secrets, tempfile, pathlib; "
    'pathlib.Path(tempfile.mkstemp(suffix="x")[1]).write_text(secrets.token_urlsafe())',
    "own file": f'tmp_path.joinpath("x").write_text("{PASSWORD}-1")',
    "a folder that is removed": "import shutil; (tmp_path / 'f').mkdir(); "
    f'(tmp_path / "f" / "x").write_text("{VALUE}-1"); shutil.rmtree(tmp_path / "f")',
    "a temporary folder that is removed": "import tempfile, pathlib; folder = tempfile.TemporaryDirectory(); "
    f'pathlib.Path(folder.name, "x").write_text("{VALUE}-1"); folder.cleanup()',
    "a folder that a guardian clears up": "from local.guardian import Guardian; guardian = Guardian().__enter__(); "
    f'guardian.folder(tmp_path / "f"); (tmp_path / "f").mkdir(); (tmp_path / "f" / "x").write_text("{VALUE}-1"); '
    "guardian.__exit__(None, None, None); assert not (tmp_path / 'f').exists()",
    "child's title": "import subprocess, sys; global child; "
    "program = 'import sys; print(flush=True); sys.stdin.read()'; "
    f'child = subprocess.Popen([sys.executable, "-c", program, "{VALUE}-1"], stdin=subprocess.PIPE, stdout=-1); '
    "child.stdout.readline()",
    "child's output": f'import subprocess; subprocess.run(["echo", "{PASSWORD}-1"], check=True)',
}


def run(folder: Path, body: str) -> subprocess.CompletedProcess[str]:
    """Run a suite of one test, with the canary and a directory of its own."""
    suite = folder / "suite"
    suite.mkdir()
    (suite / "test_one.py").write_text(f"def test_one(tmp_path):\n    {body}\n")
    options = ["-p", "tests.canary", "-p", "no:cacheprovider", "-c", "/dev/null", f"--rootdir={suite}"]
    command = [sys.executable, "-m", "pytest", "-q", *options, f"--basetemp={folder / 'base'}", str(suite)]
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)


def test_a_run_that_writes_nothing_recognisable_passes(folder: Path) -> None:
    """Innocent output is no leak."""
    done = run(folder, 'print("innocent")')
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("body", LEAKS.values(), ids=LEAKS)
def test_a_run_that_leaks_fails(folder: Path, body: str) -> None:
    """Whatever way a password or a value takes out of a test that passes, the run fails and says where."""
    done = run(folder, body)
    assert done.returncode == 1, done.stdout
    assert "1 passed" in done.stdout
    assert "CANARY: a password or a bound value is in" in done.stdout


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
