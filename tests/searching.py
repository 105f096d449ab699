"""Fails a run in which one of the canary's words is where it may not be.

That is: in what was captured of any test (output, errors, logs), in what a child process said to a pipe, in any file
that was written (`TMPDIR` lies within pytest's own directory; /tmp itself is looked at, too), or in the title of a
process that we have started. Files are looked at in the end, and a folder that is cleared up before, as that of the
local stack with the functions' logs and the server's, when it goes. What the database itself keeps is not looked at:
that is where the values belong.

Text that tests show on purpose, as the representation of a failed assertion, is pytest's and not looked at either.
"""

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from tests.canary import files_with_a_word, holds_a_word, processes_with_a_word
from tests.clearing import found, own_folders, watch

SHARED = Path("/tmp")  # noqa: S108 - nothing is written there: that is what is looked for
"""Where code could write without asking where temporary files go."""

_began = time.time()
_hear: Any = subprocess.Popen.communicate


def pytest_configure() -> None:
    """See every folder go, and hear every child process."""
    watch()
    patch.object(subprocess.Popen, "communicate", _listen).start()


def _listen(child: subprocess.Popen[Any], *rest: Any, **options: Any) -> Any:  # noqa: ANN401 - as subprocess's
    """Look at what a child says to a pipe: `subprocess.run` reads it in this way, too."""
    said = _hear(child, *rest, **options)
    if any(holds_a_word(text if isinstance(text, bytes) else text.encode()) for text in said if text):
        found.append(f"what a child process said in {os.environ.get('PYTEST_CURRENT_TEST')}")
    return said


@pytest.fixture(scope="session", autouse=True)
def _temporary_files_within_reach(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let everything that writes temporary files, child processes included, write them where they are looked for."""
    own_folders.add(tmp_path_factory.getbasetemp().absolute())
    before, tempfile.tempdir = os.environ.get("TMPDIR"), None
    os.environ["TMPDIR"] = str(tmp_path_factory.mktemp("tmp"))
    yield
    tempfile.tempdir = None
    if before is None:
        del os.environ["TMPDIR"]
    else:
        os.environ["TMPDIR"] = before


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Look at what was captured of a test that has run, and at the processes that it leaves to its fixtures to end."""
    if report.when == "call":
        found.extend(f"{report.nodeid}: title of process {pid}" for pid in processes_with_a_word())
    if report.when == "teardown":
        found.extend(f"{report.nodeid}: {name}" for name, text in report.sections if holds_a_word(text.encode()))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Look at the files and the titles; a word anywhere fails the run."""
    factory: pytest.TempPathFactory = session.config._tmp_path_factory  # type: ignore[attr-defined]
    files = {*files_with_a_word(factory.getbasetemp()), *files_with_a_word(SHARED, since=_began)}
    found.extend(f"file {path}" for path in sorted(files))
    found.extend(f"title of process {pid}" for pid in processes_with_a_word())
    if found:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say where the words were."""
    for place in found:
        terminalreporter.write_line(f"CANARY: a password or a bound value is in {place}", red=True)
