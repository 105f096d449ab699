"""Execution environments under AWS's own runtime client: as many as there are events at once, frozen in between."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local.environment import Configuration, EnvironmentStartError
from local.function import MAX_EVENT_BYTES, EventTooLargeError, LambdaFunction, ThrottledError
from local.guardian import Guardian
from local.processes import in_session, process
from tests.faults.server import wait_until

MakeFunction = Callable[..., LambdaFunction]
ROOT = Path(__file__).parents[2]
FUNCTIONS = Path(__file__).parent / "functions"


def test_an_environment_is_kept_and_loads_the_function_once(make_function: MakeFunction) -> None:
    """The second event finds what the first has left in the process."""
    function = make_function()
    first, second = function.invoke({}), function.invoke({})
    assert (first.is_cold, second.is_cold) == (True, False)
    assert [first.payload["answered"], second.payload["answered"]] == [1, 2]
    assert "loaded" in first.log
    assert "loaded" not in second.log


def test_an_environment_is_frozen_between_invocations(make_function: MakeFunction) -> None:
    """No thread of the function runs while there is no event."""
    function = make_function()
    function.invoke({})
    (environment,) = function.idle
    wait_until(lambda: environment.runtime_states() == {"T"})  # the kernel stops it in its own time
    time.sleep(0.1)
    assert environment.runtime_states() == {"T"}


def test_what_a_function_writes_is_there_with_its_answer(make_function: MakeFunction) -> None:
    """Every line, of stdout and stderr, and none of another invocation."""
    function = make_function()
    for count in range(1, 101):
        assert [line for line in function.invoke({}).log if line.startswith("answered")] == [f"answered {count}"]


def test_events_at_once_have_environments_of_their_own(make_function: MakeFunction, tmp_path: Path) -> None:
    """Two events at once are served by two environments, the next one by that which was idle last."""
    function = make_function()
    event = {"until": str(tmp_path / "enough")}
    with ThreadPoolExecutor(2) as threads:
        invocations = [threads.submit(function.invoke, event) for _ in range(2)]
        wait_until(lambda: function.busy == 2)
        Path(event["until"]).touch()
        served = {invocation.result().environment for invocation in invocations}
    assert len(served) == 2
    assert function.invoke({}).environment == function.idle[-1].number


def test_concurrency_is_limited(make_function: MakeFunction, tmp_path: Path) -> None:
    """With all environments busy an event is refused at once; afterwards they serve again."""
    function = make_function(concurrency=1)
    event = {"until": str(tmp_path / "enough")}
    with ThreadPoolExecutor(1) as threads:
        served = threads.submit(function.invoke, event)
        wait_until(lambda: function.busy == 1)
        with pytest.raises(ThrottledError, match="tiny has all its 1 environments busy"):
            function.invoke({})
        Path(event["until"]).touch()
        assert served.result().failure is None
    assert not function.invoke({}).is_cold


def test_a_function_that_stops_ends_what_serves(make_function: MakeFunction) -> None:
    """Who waits is told of a failure, an environment that was only coming up is ended too, and no event is taken."""
    function = make_function(timeout_s=60)
    function.invoke({})
    with ThreadPoolExecutor(4) as threads:
        served = [threads.submit(function.invoke, {"sleep_s": 50}) for _ in range(4)]
        while function.busy < 4:
            time.sleep(0.001)
        began = time.monotonic()
        function.stop()
        assert time.monotonic() - began < 10
        assert (function.busy, function.idle) == (0, ())
        for each in served:
            assert isinstance(each.exception(), ThrottledError) or each.result().failure
    with pytest.raises(ThrottledError, match="takes no more events"):
        function.invoke({})


def test_an_environment_that_nobody_would_end_is_not_started(tmp_path: Path) -> None:
    """With the guardian gone already, the emulator's process goes at once."""
    with Guardian() as guardian:
        pass
    environments = in_session_of_children()
    with LambdaFunction(Configuration("tiny", "tiny.handler", FUNCTIONS), tmp_path, guardian) as function:
        with pytest.raises(EnvironmentStartError, match="all ends"):
            function.invoke({})
        assert function.busy == 0
    assert in_session_of_children() == environments


def in_session_of_children() -> set[int]:
    """Return the sessions that children of this process lead."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return {member.session for child in children if (member := process(int(child))) and member.state != "Z"}


def test_an_event_over_lambdas_limit_is_refused(make_function: MakeFunction) -> None:
    """6 MB as JSON, and no environment is troubled."""
    function = make_function()
    with pytest.raises(EventTooLargeError, match="6291457 bytes"):
        function.invoke("x" * (MAX_EVENT_BYTES - 1))
    assert (function.busy, function.idle) == (0, ())


@pytest.mark.parametrize(
    ("event", "timeout_s", "failure"),
    [({"sleep_s": 60}, 5, "Sandbox.Timedout"), ({"exit": 3}, 60, "Runtime.ExitError")],
)
def test_an_environment_that_timed_out_or_died_serves_no_more(
    make_function: MakeFunction, event: dict[str, object], timeout_s: int, failure: str
) -> None:
    """The caller gets the error, the next event a new environment."""
    function = make_function(timeout_s=timeout_s)
    first = function.invoke({})
    assert function.invoke(event).failure == failure
    assert function.idle == ()
    assert not _is_running(first.payload["pid"])
    assert function.invoke({}).is_cold


def test_an_environment_survives_an_exception_of_the_handler(make_function: MakeFunction) -> None:
    """Lambda keeps the process; so do we."""
    function = make_function()
    failed, next_one = function.invoke({"raise": "no"}), function.invoke({})
    assert failed.failure == "ValueError"
    assert not next_one.is_cold


def test_a_function_that_cannot_be_loaded_says_so(make_function: MakeFunction) -> None:
    """The error of the import is the answer."""
    invocation = make_function(handler="absent.handler").invoke({})
    assert invocation.failure == "Runtime.ImportModuleError"


PARENT_THAT_IS_KILLED = """
import os, signal, sys
from pathlib import Path
from local.environment import Configuration
from local.function import LambdaFunction
from local.guardian import Guardian
from local.postgres import PostgresServer
folder = Path(sys.argv[1])
guardian = Guardian().__enter__()
guardian.folder(folder)
guardian.cluster(folder / "data")
server = PostgresServer(folder / "data", "irrelevant").__enter__()
function = LambdaFunction(Configuration("tiny", "tiny.handler", Path(sys.argv[2]), 60), folder, guardian)
print(server.pid, function.invoke({}).payload["pid"], guardian.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_nothing_is_left_when_the_parent_is_killed(tmp_path: Path) -> None:
    """Server, frozen environment and folder go, though nobody is there to tell them."""
    folder = tmp_path / "killed"
    folder.mkdir()
    functions = Path(__file__).parent / "functions"
    command = [sys.executable, "-c", PARENT_THAT_IS_KILLED, str(folder), str(functions)]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    pids = [int(word) for word in done.stdout.split()]
    assert len(pids) == 3, done.stderr
    give_up_at = time.monotonic() + 30
    while folder.exists() or any(_is_running(pid) for pid in pids):
        assert time.monotonic() < give_up_at, f"left: {folder.exists()=} {[process(pid) for pid in pids]}"
        time.sleep(0.05)
    assert not any(list(in_session(pid)) for pid in pids)


def _is_running(pid: int) -> bool:
    found = process(pid)
    return found is not None and found.state != "Z"
