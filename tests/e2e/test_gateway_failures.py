"""What a client gets when the function fails: what API Gateway would answer, and never what went wrong inside."""

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from local.function import LambdaFunction
from local.serving import PortTakenError, require_free
from local.template import Route
from tests.e2e.conftest import Client

INTERNAL_SERVER_ERROR = (500, {"message": "Internal Server Error"})
SERVICE_UNAVAILABLE = (503, {"message": "Service Unavailable"})


ROUTES = [Route("ANY", "/{proxy+}", "odd")]


@pytest.fixture
def serve_odd(
    make_function: Callable[..., LambdaFunction], serve: Callable[[LambdaFunction, list[Route]], str]
) -> Callable[..., str]:
    """Put tests/e2e/functions/odd.py behind a gateway of its own; a request's body is what it does."""
    return lambda **changes: serve(make_function(handler="odd.handler", **changes), ROUTES)


def ask(url: str, does: object) -> tuple[int, object]:
    """Return status and body of the answer."""
    with closing(Client(url)) as call:
        reply = call("POST", "/anything/at/all", does)
    return reply.status, reply.body


@pytest.mark.parametrize("does", [{"raise": "no"}, {"exit": 1}, {"sleep_s": 60}, {"answer": {"statusCode": "?"}}])
def test_a_function_that_fails_is_an_internal_server_error(serve_odd: Callable[..., str], does: dict[str, Any]) -> None:
    """Exception, death, time-out, malformed answer: the client learns nothing, and the next request is served."""
    url = serve_odd(timeout_s=5 if "sleep_s" in does else 60)
    assert ask(url, does) == INTERNAL_SERVER_ERROR
    assert ask(url, {"answer": {"statusCode": 204}}) == (204, "")


def test_a_function_at_its_concurrency_is_unavailable(serve_odd: Callable[..., str], tmp_path: Path) -> None:
    """One is served, who asks meanwhile is refused."""
    url = serve_odd(concurrency=1)
    enough = tmp_path / "enough"
    does = {"until": str(enough), "answer": {"statusCode": 200, "body": "served"}}
    with ThreadPoolExecutor(2) as threads:
        asked = [threads.submit(ask, url, does) for _ in range(2)]
        (refused,), (served,) = wait(asked, return_when=FIRST_COMPLETED)
        enough.touch()
    assert refused.result() == SERVICE_UNAVAILABLE
    assert served.result() == (200, "served")


def test_a_request_or_an_answer_over_lambdas_limit_is_refused(serve_odd: Callable[..., str]) -> None:
    """6 MB each way, though API Gateway lets 10 pass; the next request is served."""
    url = serve_odd(timeout_s=20)
    assert ask(url, {"padding": "x" * 7_000_000}) == (413, {"message": "Request Entity Too Large"})
    assert ask(url, {"long": 7_000_000}) == INTERNAL_SERVER_ERROR
    assert ask(url, {"answer": {"statusCode": 204}}) == (204, "")


def test_a_gateway_that_closes_answers_those_who_are_still_connected(
    make_function: Callable[..., LambdaFunction], serve: Callable[[LambdaFunction, list[Route]], str]
) -> None:
    """503 to whom a function is stopped under or asks afterwards, 500 to whom it was serving."""
    function = make_function(handler="odd.handler", timeout_s=20)
    url = serve(function, ROUTES)
    with ThreadPoolExecutor(1) as threads:
        served = threads.submit(ask, url, {"sleep_s": 15})
        while not function.busy:
            time.sleep(0.001)
        function.stop()
        assert served.result() in (INTERNAL_SERVER_ERROR, SERVICE_UNAVAILABLE)
    assert ask(url, {}) == SERVICE_UNAVAILABLE


def test_a_port_that_is_taken_is_named(serve_odd: Callable[..., str]) -> None:
    """Before anything else is started."""
    port = int(serve_odd().rpartition(":")[2])
    with pytest.raises(PortTakenError, match=f"port {port} on 127.0.0.1 cannot be had"):
        require_free(port)
