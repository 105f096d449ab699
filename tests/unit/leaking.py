"""Tests that pass and let a password or a value out, each in another way. Only test_canary.py runs them."""

import atexit
import logging
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from local.guardian import Guardian
from tests.canary import PASSWORD, VALUE
from tests.e2e.command import HEARD, Running

LEFT: list["subprocess.Popen[bytes]"] = []
"""Ends with the run."""


def test_output() -> None:
    sys.stdout.write(VALUE)


def test_errors() -> None:
    sys.stderr.write(VALUE)


def test_log() -> None:
    logging.getLogger("db").warning("%s", VALUE)


def test_temporary_file() -> None:
    Path(tempfile.mkstemp(prefix="temporary")[1]).write_text(secrets.token_urlsafe())


def test_own_file(tmp_path: Path) -> None:
    (tmp_path / "x").write_text(f"{PASSWORD}-1")


def test_file_in_tmp() -> None:
    folder = tempfile.mkdtemp(prefix="in_tmp", dir="/tmp")
    atexit.register(shutil.rmtree, folder)
    Path(folder, "x").write_text(VALUE)


def test_removed(tmp_path: Path) -> None:
    shutil.rmtree(_with_a_value(tmp_path))


def test_cleaned() -> None:
    with tempfile.TemporaryDirectory(prefix="cleaned") as folder:
        Path(folder, "x").write_text(VALUE)


def test_guarded(tmp_path: Path) -> None:
    folder = _with_a_value(tmp_path)
    with Guardian() as guardian:
        guardian.folder(folder)
    assert not folder.exists()


def test_make_run(tmp_path: Path) -> None:
    running = Running(tmp_path, "--port", "0")
    while not (servers := list(tmp_path.glob("slotwise-*/postgres"))):
        assert running.process.poll() is None
    servers[0].with_name("x").write_text(VALUE)
    running.process.terminate()
    running.output()
    assert running.left() == []


def test_childs_output() -> None:
    subprocess.run(["echo", PASSWORD], check=True)  # noqa: S607 - wherever it is


def test_pipe() -> None:
    program = "import secrets; print(secrets.token_urlsafe())"
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, env={**os.environ, **HEARD})


def test_title() -> None:
    program = "import sys; print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", program, VALUE]
    LEFT.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
    assert LEFT[0].stdout is not None
    LEFT[0].stdout.readline()


def _with_a_value(folder: Path) -> Path:
    (folder / "f").mkdir()
    (folder / "f" / "x").write_text(VALUE)
    return folder / "f"
