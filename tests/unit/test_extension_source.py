"""A secret through an extension that is not there, or does not make sense."""

from collections.abc import Callable, Iterable

import pytest

from db import Deadline, Secret
from db.credentials.calls import CALLS_AT_ONCE, ONE_MORE_S, Calls
from db.credentials.extension import ExtensionSource
from db.credentials.sources import Answer
from db.credentials.stages import Stage
from db.environment.process import Extension
from local.serving import Server
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


@pytest.mark.parametrize("answer", [b"no JSON", b"[]", b"[" * 100_000, b"\xff", b"{}"])
def test_an_answer_without_a_secret_is_none(answer: bytes) -> None:
    """Whatever is wrong with it, the API is asked."""

    def serve(_environ: object, start_response: Callable[..., object]) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Length", str(len(answer)))])
        return [answer]

    api = Api()
    with Server(serve) as server:
        source = ExtensionSource("app/db", Extension(port=server.port, token=Secret("t")), api)
        assert source.fetch(Stage.CURRENT, Deadline.after(20), Calls(), fresh=False) is None
    assert api.asked == 1
