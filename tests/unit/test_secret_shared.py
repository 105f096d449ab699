"""Several borrows of one process that are refused at once: they share what Secrets Manager says."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event, Lock, Semaphore

import pytest

from db import Deadline, SecretCredentials
from db.credentials.calls import Calls
from db.credentials.sources import Answer
from db.credentials.stages import Stage
from db.deadline import UNBOUNDED
from tests.unit.played import Played, credentials, version, versions

BORROWS = 10
"""As many as there can be: DB_POOL_SIZE's greatest value."""


class Turns:
    """Whose turn it is to ask: a lock that says when every borrow has come for it."""

    def __init__(self) -> None:
        self._lock, self._to_come = Lock(), Semaphore(0)

    def acquire(self, timeout: float) -> bool:
        self._to_come.release()
        return self._lock.acquire(timeout=timeout)

    def release(self) -> None:
        self._lock.release()

    def wait(self) -> None:
        for _ in range(BORROWS):
            assert self._to_come.acquire(timeout=20)


class Shared(Played):
    """Gives its first answer when every borrow was refused and waits for one."""

    def __init__(self, **stages: Answer) -> None:
        super().__init__(**stages)
        self.turns: Turns | None = None

    def fetch(self, stage: Stage, deadline: Deadline, calls: Calls, *, fresh: bool) -> Answer | None:
        if self.turns:
            turns, self.turns = self.turns, None
            turns.wait()
        return super().fetch(stage, deadline, calls, fresh=fresh)


def served(who: SecretCredentials, accepts: str) -> list[str | None]:
    """Let so many borrows log in at once, in a server that takes one version; return with which each was let in."""
    with ThreadPoolExecutor(BORROWS) as executor:
        return [tried[-1] for tried in executor.map(versions, [who] * BORROWS, [accepts] * BORROWS)]


@pytest.mark.parametrize(
    ("stages", "asked"),
    [
        ({"CURRENT": version("v2"), "PENDING": version("v2"), "PREVIOUS": version("v1")}, "CURRENT"),
        ({"CURRENT": version("v1"), "PENDING": version("v2")}, "CURRENT PENDING"),
        ({"CURRENT": version("v1"), "PREVIOUS": version("v2")}, "CURRENT PENDING CURRENT PREVIOUS"),
    ],
    ids=["rotated", "in the window", "a replica that lags"],
)
def test_borrows_that_are_refused_at_once_cost_as_many_calls_as_one(stages: dict[str, Answer], asked: str) -> None:
    """Ten of them find the new version by the calls that one of them needs, and nobody is turned away."""
    source = Shared(CURRENT=version("v1"))
    who = credentials(source)
    versions(who, "v1")
    source.stages, source.asked = {**stages}, []
    source.turns = who._asking = Turns()  # type: ignore[assignment] # all of a lock that is used
    assert served(who, "v2") == ["v2"] * BORROWS
    assert [stage.name for stage, _ in source.asked] == asked.split()
    assert served(who, "v2") == ["v2"] * BORROWS
    assert len(source.asked) == len(asked.split())


class Late(Played):
    """Holds the answer to its question for AWSPENDING back, which is as old as the question."""

    def __init__(self, **stages: Answer) -> None:
        super().__init__(**stages)
        self.is_sent, self.may_arrive = Event(), Event()

    def fetch(self, stage: Stage, deadline: Deadline, calls: Calls, *, fresh: bool) -> Answer | None:
        answer = super().fetch(stage, deadline, calls, fresh=fresh)
        if stage is Stage.PENDING and not self.is_sent.is_set():
            self.is_sent.set()
            assert self.may_arrive.wait(20)
        return answer


def test_an_answer_from_before_the_refusal_does_not_stand_for_one_from_after_it() -> None:
    """A rotation begins while another borrow's question is on its way: this one asks again, and is served."""
    source = Late(CURRENT=version("v1"))
    who = credentials(source)
    ours = who.logins(UNBOUNDED)
    assert next(ours).version == "v1"
    with ThreadPoolExecutor(1) as executor:
        others = executor.submit(versions, who)
        assert source.is_sent.wait(20)
        source.stages["PENDING"] = version("v2")
        source.may_arrive.set()
        assert next(ours).version == "v2"
        others.result()
