"""A canary: the whole suite runs with recognisable passwords and values, and what it wrote is searched for them.

Every password that the tests make with `secrets.token_urlsafe` begins with PASSWORD; tests that bind values of their
own choice take VALUE. At the end of the run neither may be in what was captured of any test (output, errors, logs), in
any file that was written (`TMPDIR` lies within pytest's own directory), or in the process's title. What the database
itself keeps is not looked at: that is where the values belong.

Text that tests show on purpose, as the representation of a failed assertion, is pytest's and not looked at either.
"""

import os
import secrets
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

PASSWORD = "canary-password"
VALUE = "canary-value"
WORDS = (PASSWORD.encode(), VALUE.encode())

MAY_HOLD_PASSWORDS = frozenset({"users"})
"""The names of files in which a program that we test with, PgBouncer, wants them."""

_found: list[str] = []
_token = secrets.token_urlsafe


def _recognisable_token(nbytes: int | None = None) -> str:
    return f"{PASSWORD}-{_token(nbytes)}"


def pytest_configure() -> None:
    """Make passwords recognisable before any test or fixture makes one."""
    secrets.token_urlsafe = _recognisable_token


@pytest.fixture(scope="session", autouse=True)
def _temporary_files_within_reach(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let everything that writes temporary files, child processes included, write them where they are looked for."""
    before, tempfile.tempdir = os.environ.get("TMPDIR"), None
    os.environ["TMPDIR"] = str(tmp_path_factory.mktemp("tmp"))
    yield
    tempfile.tempdir = None
    if before is None:
        del os.environ["TMPDIR"]
    else:
        os.environ["TMPDIR"] = before


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Look at what was captured of a test that has run."""
    if report.when == "teardown":
        _found.extend(f"{report.nodeid}: {name}" for name, text in report.sections if holds_a_word(text.encode()))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Look at the files and the title; a word anywhere fails the run."""
    factory: pytest.TempPathFactory = session.config._tmp_path_factory  # type: ignore[attr-defined]
    _found.extend(f"file {path}" for path in files_with_a_word(factory.getbasetemp()))
    _found.extend(f"title of process {os.getpid()}" for title in _titles() if holds_a_word(title))
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


def _titles() -> Iterable[bytes]:
    return [Path("/proc/self", name).read_bytes() for name in ("cmdline", "comm") if Path("/proc/self", name).exists()]
