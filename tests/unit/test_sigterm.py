"""Who hears SIGTERM: the environment, at once; and each program that a handler starts, for itself."""

import subprocess
import sys
from pathlib import Path

import pytest

import db

SOURCE = str(Path(db.__file__).parents[1])
"""Wherever these tests have it from: the tree, or the artefact."""
HEARD = 7
BEGIN = f"""
import os, signal, subprocess, time
from db.environment.sigterm import at_sigterm
at_sigterm(lambda: os._exit({HEARD}))
"""


def status_of(program: str) -> int:
    command = [sys.executable, "-B", "-c", BEGIN + program]
    return subprocess.run(command, check=False, timeout=20, env={"PYTHONPATH": SOURCE}).returncode


@pytest.mark.parametrize(
    "meanwhile",
    [
        "time.sleep(10)",
        "while True: pass",
        "signal.set_wakeup_fd(-1); time.sleep(10)",
        "signal.raise_signal(signal.SIGUSR1); time.sleep(10)",
    ],
)
def test_sigterm_is_heard_whatever_the_main_thread_does(meanwhile: str) -> None:
    """Waiting, busy, with the descriptor taken by another library, or with other signals on their way."""
    program = f"""
import threading
signal.signal(signal.SIGUSR1, lambda *_: None)
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
{meanwhile}
"""
    assert status_of(program) == HEARD


def test_a_program_that_a_handler_starts_can_be_terminated() -> None:
    """It inherits no mask: subprocess's terminate() ends it."""
    program = """
child = subprocess.Popen(["sleep", "15"])
child.terminate()
raise SystemExit(child.wait(5) != -signal.SIGTERM)
"""
    assert status_of(program) == 0


def test_a_fork_that_is_terminated_ends_alone() -> None:
    """As multiprocessing's do, at once too: it hears the signal itself, and the environment goes on."""
    program = """
import warnings; warnings.simplefilter("ignore")
if not (child := os.fork()):
    time.sleep(15)
    os._exit(1)
os.kill(child, signal.SIGTERM)
_, status = os.waitpid(child, 0)
time.sleep(0.2)
raise SystemExit(os.waitstatus_to_exitcode(status) != -signal.SIGTERM)
"""
    assert status_of(program) == 0
