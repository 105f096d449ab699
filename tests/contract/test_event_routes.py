"""The sample events are ones that the deployed API can send."""

import json

import pytest

from tests.contract.stack import ROOT, functions, routes

EVENTS = ROOT / "events"
INDEX = json.loads((EVENTS / "index.json").read_text())


SERVED = [sample["event"] for sample in INDEX if sample["status"] not in {404, 405, None}]
"""API Gateway itself answers 404 where no route is; 405 is for who invokes the function by another way; None is no
answer of an API."""


@pytest.mark.parametrize("sample", SERVED)
def test_an_event_comes_by_a_route_of_the_template(sample: str) -> None:
    """An event that is served names a route which the template sends to that function."""
    event = json.loads((EVENTS / sample).read_text())
    http_api = event.get("version") == "2.0"
    route = event["routeKey"] if http_api else f"{event['httpMethod']} {event['resource']}"
    assert routes()[route] == f"handlers.{sample.split('/', maxsplit=1)[0]}.handler"


def test_every_route_has_a_sample() -> None:
    """Whoever adds a route shows how it is called."""
    shown = {json.loads((EVENTS / sample["event"]).read_text()).get("routeKey") for sample in INDEX}
    assert set(routes()) <= shown


def test_every_function_has_samples() -> None:
    """Each function can be tried with `sam local invoke`."""
    wanted = {function["Handler"].split(".")[1] for function in functions().values()}
    assert wanted == {path.name for path in EVENTS.iterdir() if path.is_dir()}
