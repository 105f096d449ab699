"""`make run` as a person runs it: it says what it does, and leaves nothing behind, however it ends."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path

import pytest

from local.postgres import free_port

ROOT = Path(__file__).parents[2]


class Running:
    """`python -m local` with a folder for temporary files of its own, which tells what it has left."""

    def __init__(self, folder: Path, *arguments: str, **variables: str) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "local", *arguments],
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(folder), "PYTHONPATH": "", **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def output(self) -> tuple[str, str]:
        return self.process.communicate(timeout=100)

    def wait_until_serving(self, url: str) -> None:
        give_up_at = time.monotonic() + 90
        while time.monotonic() < give_up_at and self.process.poll() is None:
            try:
                urllib.request.urlopen(f"{url}/health", timeout=30).close()  # noqa: S310 - our own
            except OSError:
                time.sleep(0.1)
            else:
                return
        pytest.fail(f"not serving: {self.output()}")

    def wait_until_it_says(self, what: str) -> None:
        assert self.process.stdout
        while what not in (line := self.process.stdout.readline()):
            assert line, f"ended: {self.output()}"

    def left(self) -> list[str]:
        """Return what still runs or lies in the folder; waits for what is just ending."""
        give_up_at = time.monotonic() + 30
        while (found := self._left()) and time.monotonic() < give_up_at:
            time.sleep(0.05)
        return found

    def _left(self) -> list[str]:
        return [path.name for path in self.folder.iterdir()] + [*_using(self.folder)]


def _using(folder: Path) -> Iterator[str]:
    """Yield the command lines of processes that have the folder in their arguments or among their open files."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().decode(errors="replace")
            names = [command, *(str(file.readlink()) for file in (entry / "fd").iterdir())]
        except OSError:
            continue
        if any(str(folder) in name for name in names) and int(entry.name) != os.getpid():
            yield command.replace("\0", " ")


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []
    folder = tmp_path / "t"
    folder.mkdir()

    def start(*arguments: str, **variables: str) -> Running:
        started.append(Running(folder, *arguments, **variables))
        return started[-1]

    yield start
    for running in started:
        running.process.kill()
        running.process.communicate()


Run = Callable[..., Running]


def test_once_shows_every_sample_and_leaves_nothing(run: Run) -> None:
    """The table has the answers with what they cost; the exit status says that all were as they should be."""
    running = run("--once", "--port", "0")
    shown, errors = running.output()
    assert (running.process.returncode, errors) == (0, "")
    assert "records/create" in shown
    assert "opened" in shown
    assert "reused" in shown
    assert running.left() == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_when_it_is_ended(run: Run, how: signal.Signals) -> None:
    """By Ctrl-C, and in a way that leaves no time for anything."""
    port = free_port()
    running = run("--port", str(port))
    running.wait_until_serving(f"http://127.0.0.1:{port}")
    running.process.send_signal(how)
    _, errors = running.output()
    assert (running.process.returncode, errors) == (-how if how == signal.SIGKILL else 0, "")
    assert running.left() == []


@pytest.mark.parametrize("requests", [2, 20])
def test_nothing_is_left_when_it_is_ended_while_it_serves(run: Run, requests: int) -> None:
    """Ctrl-C with requests in flight, most of them for environments that are only starting: it says that it ends."""
    port = free_port()
    running = run("--port", str(port))
    running.wait_until_it_says("Ctrl-C ends everything")
    with ThreadPoolExecutor(requests) as threads:
        statuses = threads.map(lambda _: _status(f"http://127.0.0.1:{port}/records"), range(requests))
        time.sleep(0.3)
        running.process.send_signal(signal.SIGINT)
        shown, errors = running.output()
        assert set(statuses) - {200}, "nothing was in flight"
    assert (running.process.returncode, errors) == (0, "")
    assert "ending\n" in shown
    assert running.left() == []


def _status(url: str) -> int | None:
    """Return the answer's status; None where the connection broke."""
    try:
        with urllib.request.urlopen(url, timeout=60) as response:  # noqa: S310 - our own
            return int(response.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code
    except (OSError, HTTPException):
        return None


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_nothing_is_left_when_it_is_ended_while_starting(run: Run, how: signal.Signals) -> None:
    """Ctrl-C goes to the whole group, as a terminal sends it; and so may a polite end."""
    running = run("--port", "0")
    while not any(running.folder.glob("slotwise-*/postgres/PG_VERSION")):
        assert running.process.poll() is None
        time.sleep(0.01)
    os.killpg(running.process.pid, how)
    running.output()
    assert running.left() == []


def test_a_machine_that_will_not_do_is_told_in_one_line(run: Run, tmp_path: Path) -> None:
    """No PostgreSQL: what to do about it, status 1, no traceback, nothing left."""
    running = run("--once", "--port", "0", PG_BIN=str(tmp_path))
    _, errors = running.output()
    assert running.process.returncode == 1
    assert errors.startswith("error: no PostgreSQL found: set PG_BIN")
    assert errors.count("\n") == 1
    assert running.left() == []


def test_a_port_that_is_taken_is_told_at_once(run: Run, stack_port: int) -> None:
    """Before anything is started."""
    running = run("--port", str(stack_port))
    shown, errors = running.output()
    assert (running.process.returncode, shown) == (1, "")
    assert errors.startswith(f"error: port {stack_port} on 127.0.0.1 cannot be had")
    assert running.left() == []
