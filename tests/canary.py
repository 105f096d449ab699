"""A canary: the whole suite runs with recognisable passwords and values, and what it wrote is searched for them.

Every password that the tests make with `secrets.token_urlsafe` begins with PASSWORD; tests that bind values of their
own choice take VALUE. Neither may be in what was captured of any test (output, errors, logs), in any file that was
written (`TMPDIR` lies within pytest's own directory), or in the title of a process that we have started. Files are
looked at in the end, and a folder that is cleared up before, as that of the local stack with the functions' logs and
the server's, when it goes. What the database itself keeps is not looked at: that is where the values belong.

Text that tests show on purpose, as the representation of a failed assertion, is pytest's and not looked at either.
"""

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any
from unittest.mock import patch

import pytest

from local.guardian import Guardian

PASSWORD = "canary-password"
VALUE = "canary-value"
WORDS = (PASSWORD.encode(), VALUE.encode())

MAY_HOLD_PASSWORDS = frozenset({"users"})
"""The names of files in which a program that we test with, PgBouncer, wants them."""

_found: list[str] = []
_own_folders: set[Path] = set()
"""Where this run writes."""
_token = secrets.token_urlsafe
_folders: dict[Guardian, list[Path]] = {}
"""What each guardian will clear up."""
remove_unseen = shutil.rmtree
"""Removes a folder that holds the words on purpose."""
_put_under_guard, _clear_up = Guardian.folder, Guardian.__exit__


def _recognisable_token(nbytes: int | None = None) -> str:
    return f"{PASSWORD}-{_token(nbytes)}"


secrets.token_urlsafe = _recognisable_token  # now, since a class may keep the function when it is imported


def pytest_configure() -> None:
    """See every folder go."""
    for target, name, seeing in (
        (shutil, "rmtree", _remove),
        (Guardian, "folder", _guard),
        (Guardian, "__exit__", _end),
    ):
        patch.object(target, name, seeing).start()


def _remove(path: Any, *rest: Any, **options: Any) -> None:  # noqa: ANN401 - as shutil's
    """Look into a folder of this run's before it is removed; pytest also clears up what earlier runs left."""
    if _own_folders.intersection(Path(path).absolute().parents):
        _look_into(Path(path))
    remove_unseen(path, *rest, **options)


def _guard(guardian: Guardian, path: Path) -> None:
    _folders.setdefault(guardian, []).append(path)
    _put_under_guard(guardian, path)


def _end(
    guardian: Guardian, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
) -> None:
    """Look into what the guardian, a process of its own, clears up now."""
    for folder in _folders.pop(guardian, []):
        _look_into(folder)
    _clear_up(guardian, kind, error, trace)


def _look_into(folder: Path) -> None:
    _found.extend(f"file {path}, which is gone now" for path in files_with_a_word(folder))


@pytest.fixture(scope="session", autouse=True)
def _temporary_files_within_reach(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let everything that writes temporary files, child processes included, write them where they are looked for."""
    _own_folders.add(tmp_path_factory.getbasetemp().absolute())
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
        _found.extend(f"{report.nodeid}: title of process {pid}" for pid in processes_with_a_word())
    if report.when == "teardown":
        _found.extend(f"{report.nodeid}: {name}" for name, text in report.sections if holds_a_word(text.encode()))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Look at the files and the titles; a word anywhere fails the run."""
    factory: pytest.TempPathFactory = session.config._tmp_path_factory  # type: ignore[attr-defined]
    _found.extend(f"file {path}" for path in files_with_a_word(factory.getbasetemp()))
    _found.extend(f"title of process {pid}" for pid in processes_with_a_word())
    if _found:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say where the words were."""
    for place in _found:
        terminalreporter.write_line(f"CANARY: a password or a bound value is in {place}", red=True)


def holds_a_word(content: bytes) -> bool:
    """Say whether a recognisable password or value is in `content`."""
    return any(word in content for word in WORDS)


def files_with_a_word(folder: Path) -> Iterator[Path]:
    """Yield the files below `folder` that hold one; of a database's directory only its log is looked at."""
    for path in _written(folder):
        try:
            content = path.read_bytes()
        except OSError:
            continue
        if path.name not in MAY_HOLD_PASSWORDS and holds_a_word(content):
            yield path


def _written(folder: Path) -> Iterator[Path]:
    for directory, names, files in os.walk(folder):
        is_database = "PG_VERSION" in files
        if is_database:
            names.clear()
        for name in files:
            path = Path(directory, name)
            if path.is_file() and (not is_database or path.suffix == ".log"):
                yield path


def processes_with_a_word() -> Iterator[int]:
    """Yield this process and those that it has begun, directly or not, where the title of one holds a word."""
    parents = {int(entry.name): _parent(entry) for entry in Path("/proc").glob("[0-9]*")}
    for pid in parents:
        if _descends(pid, parents) and holds_a_word(_read(Path(f"/proc/{pid}/cmdline"))):
            yield pid


def _parent(entry: Path) -> int:
    """Return the parent of a process: the second field behind its name, which may hold anything."""
    behind = _read(entry / "stat").rpartition(b")")[2].split()
    return int(behind[1]) if behind else 0


def _descends(pid: int, parents: dict[int, int]) -> bool:
    while pid and pid != os.getpid():
        pid = parents.get(pid, 0)
    return bool(pid)


def _read(path: Path) -> bytes:
    """Return what is there; nothing where the process has ended meanwhile."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
