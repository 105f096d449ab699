"""The canary itself: it sees what it looks for, and a run in which it does fails."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.canary import VALUE, files_with_a_word
from tests.clearing import remove_unseen

ROOT = Path(__file__).parents[2]

HEAD = """
import atexit, logging, os, secrets, shutil, subprocess, sys, tempfile
from pathlib import Path

from local.guardian import Guardian
from tests.canary import PASSWORD, VALUE
from tests.e2e.command import HEARD, Running

def test_one(tmp_path):
"""
LEAKS = {
    "output": "print(VALUE)",
    "errors": "print(VALUE, file=sys.stderr)",
    "log": 'logging.getLogger("db").warning("%s", VALUE)',
    "temporary file": 'Path(tempfile.mkstemp(suffix="x")[1]).write_text(secrets.token_urlsafe())',
    "own file": "(tmp_path / 'x').write_text(f'{PASSWORD}-1')",
    "a file in a folder of /tmp": "folder = tempfile.mkdtemp(dir='/tmp'); atexit.register(shutil.rmtree, folder); "
    "Path(folder, 'x').write_text(VALUE)",
    "a folder that is removed": "folder = tmp_path / 'f'; folder.mkdir(); (folder / 'x').write_text(VALUE); "
    "shutil.rmtree(folder)",
    "a temporary folder that is removed": "folder = tempfile.TemporaryDirectory(); "
    "Path(folder.name, 'x').write_text(VALUE); folder.cleanup()",
    "a folder that a guardian clears up": "folder = tmp_path / 'f'; folder.mkdir(); (folder / 'x').write_text(VALUE); "
    "guardian = Guardian().__enter__(); guardian.folder(folder); guardian.__exit__(None, None, None); "
    "assert not folder.exists()",
    "a folder that `make run` clears up": "running = Running(tmp_path, '--port', '0')\n"
    "    while not (servers := list(tmp_path.glob('slotwise-*/postgres'))): assert running.process.poll() is None\n"
    "    servers[0].with_name('x').write_text(VALUE)\n"
    "    running.process.terminate(); running.output(); assert running.left() == []",
    "child's title": "global child; program = 'import sys; print(flush=True); sys.stdin.read()'; "
    "child = subprocess.Popen([sys.executable, '-c', program, VALUE], stdin=subprocess.PIPE, stdout=subprocess.PIPE); "
    "child.stdout.readline()",
    "child's output": "subprocess.run(['echo', PASSWORD], check=True)",
    "child's own password, into a pipe": "program = 'import secrets; print(secrets.token_urlsafe())'; "
    "subprocess.run([sys.executable, '-c', program], check=True, capture_output=True, env={**os.environ, **HEARD})",
}


def run(folder: Path, body: str) -> subprocess.CompletedProcess[str]:
    """Run a suite of one test, with a canary and a directory of its own."""
    suite = folder / "suite"
    suite.mkdir()
    (suite / "test_one.py").write_text(f"{HEAD}    {body}\n")
    options = ["-p", "tests.searching", "-p", "no:cacheprovider", "-c", "/dev/null", f"--rootdir={suite}"]
    command = [sys.executable, "-m", "pytest", "-q", *options, f"--basetemp={folder / 'base'}", str(suite)]
    environ = {name: value for name, value in os.environ.items() if name != "CANARY_RUN"}
    return subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT, env=environ)


def test_a_run_that_leaks_nothing_of_its_own_passes(folder: Path) -> None:
    """Innocent output is no leak, nor is a word of a run beside it."""
    done = run(folder, f'print("innocent, {VALUE}")')
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


def test_of_a_folder_that_others_use_only_what_is_new_is_looked_at(folder: Path) -> None:
    """Files and folders from before the run cost no time."""
    for name in ("old/x", "new/x", "new/old"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(VALUE)
    for name in ("old", "new/old"):
        os.utime(folder / name, (1000, 1000))
    assert list(files_with_a_word(folder, since=1001)) == [folder / "new" / "x"]
