"""A secret through an extension that is not there."""

from db import Deadline, Secret
from db.credentials.calls import CALLS_AT_ONCE, ONE_MORE_S, Calls
from db.credentials.extension import ExtensionSource
from db.credentials.sources import Answer
from db.credentials.stages import Stage
from db.environment.process import Extension
from tests.faults.clock import Clock


class Api:
    """Counts how often it could ask; knows nothing."""

    asked = 0

    def fetch(self, _stage: Stage, _deadline: Deadline, calls: Calls, *, fresh: bool) -> Answer | None:
        assert not fresh
        self.asked += calls.take()
        return None

    def forget(self) -> None:
        raise AssertionError("nobody asks for that")


def test_the_last_request_is_the_apis() -> None:
    """In an outage each request that may be sent again goes to who answers after it, and not to who never will."""
    clock, api = Clock(), Api()
    calls = Calls(clock)
    source = ExtensionSource("app/db", Extension(port=1, token=Secret("t")), api)

    def ask() -> int:
        source.fetch(Stage.CURRENT, Deadline.after(20), calls, fresh=False)
        return api.asked

    assert [ask() for _ in range(CALLS_AT_ONCE)][-1] == CALLS_AT_ONCE / 2, "one for each"
    for seen in range(api.asked, api.asked + 3):
        clock.advance(ONE_MORE_S)
        assert ask() == seen + 1
