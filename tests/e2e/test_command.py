"""`make run` as a person runs it: it says what it does, and leaves nothing behind, however it ends."""

import itertools
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path

import pytest

from local.binaries import as_ordinary_user, bundled
from local.postgres import free_port
from tests.canary import VALUE, files_with_a_word
from tests.e2e.command import ROOT, Running

SAM_ENVIRONMENT = ROOT / ".cache" / "sam-env.json"

Run = Callable[..., Running]

CALLERS = 20
QUESTIONS = 1_000
"""More than are answered in the time: a caller stops when the service is gone."""


def wheels() -> str:
    """Return where the wheel has PostgreSQL."""
    return str(next(path for path in bundled() if (path / "initdb").exists()))


@pytest.mark.parametrize("is_newcomers", [False, True], ids=["as it is", "ordinary user, PostgreSQL from the wheel"])
def test_once_shows_every_sample_and_leaves_nothing(run: Run, is_newcomers: bool) -> None:  # noqa: FBT001 - a parameter
    """The table has the answers with what they cost; the exit status says that all were as they should be."""
    others = {"before": as_ordinary_user(), "PG_BIN": wheels()} if is_newcomers else {}
    running = run("--once", "--port", "0", **others)
    shown, errors = running.output()
    assert (running.process.returncode, errors) == (0, "")
    assert "records/create" in shown
    assert "opened" in shown
    assert "reused" in shown
    assert running.left() == []


def test_nothing_is_left_when_it_is_killed(run: Run) -> None:
    """Which leaves no time for anything."""
    running = run("--port", "0")
    running.wait_until_it_says("Ctrl-C ends everything")
    assert SAM_ENVIRONMENT.exists()
    assert list(files_with_a_word(running.folder)) == [], "nobody looks into them where it is killed"
    running.process.kill()
    _, errors = running.output()
    assert (running.process.returncode, errors) == (-signal.SIGKILL, "")
    assert running.left() == []
    assert not SAM_ENVIRONMENT.exists(), "it names servers that are gone"


def test_nothing_is_left_when_it_is_ended_while_it_serves(run: Run) -> None:
    """Ctrl-C while callers ask without a pause, most of them of environments that are only starting: it says so.

    The kernel may give the signal to any thread, and with a process being started in one does so now and then.
    """
    port = free_port()
    running = run("--port", str(port))
    running.wait_until_it_says("Ctrl-C ends everything")
    with ThreadPoolExecutor(CALLERS) as threads:
        answered = threads.map(
            lambda _: _ask_until_it_ends(f"http://127.0.0.1:{port}/records?name_prefix={VALUE}"), range(CALLERS)
        )
        time.sleep(0.3)
        running.interrupt_another_thread()
        shown, errors = running.output()
        assert sum(answered) < CALLERS * QUESTIONS, "nothing was in flight"
    assert (running.process.returncode, errors) == (0, "")
    assert "ending\n" in shown
    assert running.left() == []
    assert not SAM_ENVIRONMENT.exists(), "it names servers that are gone"


def _ask_until_it_ends(url: str) -> int:
    """Ask one time after the other until the answer is not 200; return how many were."""
    answers = (_status(url) for _ in range(QUESTIONS))
    return sum(1 for _ in itertools.takewhile(lambda status: status == HTTPStatus.OK, answers))


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


@pytest.mark.parametrize("port", ["abc", "70000", "-1", ""])
def test_a_port_that_is_none_is_told_at_once(run: Run, port: str) -> None:
    """By the option or the variable, in a sentence."""
    running = run(PORT=port)
    shown, errors = running.output()
    assert (running.process.returncode, shown) == (2, "")
    assert f"a port is a number from 0 to 65535, not {port!r}" in errors


def test_a_port_that_is_taken_is_told_at_once(run: Run, stack_port: int) -> None:
    """Before anything is started."""
    running = run("--port", str(stack_port))
    shown, errors = running.output()
    assert (running.process.returncode, shown) == (1, "")
    assert errors.startswith(f"error: port {stack_port} on 127.0.0.1 cannot be had")
    assert running.left() == []
