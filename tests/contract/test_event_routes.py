"""The sample events are ones that the deployed API can send."""

import base64
import json
import re
from typing import Any
from urllib.parse import parse_qsl

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


def read(sample: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((EVENTS / sample).read_text())
    return event


REQUESTS = [sample["event"] for sample in INDEX if "requestContext" in read(sample["event"])]


@pytest.mark.parametrize("sample", [sample for sample in REQUESTS if "routeKey" in read(sample)])
def test_an_event_of_an_http_api_agrees_with_itself(sample: str) -> None:
    """Method, path, its parameters, query and length of the body are said twice, and are the same both times."""
    event = read(sample)
    method, _, route = event["routeKey"].partition(" ")
    context = event["requestContext"]
    assert (context["routeKey"], context["http"]["method"]) == (event["routeKey"], method)
    assert context["http"]["path"] == event["rawPath"]
    assert parameters(route, event["rawPath"]) == event.get("pathParameters", {})
    assert dict(parse_qsl(event["rawQueryString"])) == event.get("queryStringParameters", {})
    body = event.get("body", "")
    content = base64.b64decode(body) if event["isBase64Encoded"] else body.encode()
    assert event["headers"].get("content-length", "0") == str(len(content))


@pytest.mark.parametrize("sample", [sample for sample in REQUESTS if "routeKey" not in read(sample)])
def test_an_event_of_a_rest_api_agrees_with_itself(sample: str) -> None:
    """The same, and each header and query parameter is in both forms."""
    event = read(sample)
    context = event["requestContext"]
    assert (context["httpMethod"], context["resourcePath"]) == (event["httpMethod"], event["resource"])
    assert context["path"] == f"/{context['stage']}{event['path']}"
    assert parameters(event["resource"], event["path"]) == (event["pathParameters"] or {})
    for part in ("Headers", "QueryStringParameters"):
        single = event[part[0].lower() + part[1:]] or {}
        assert {name: values[-1] for name, values in (event[f"multiValue{part}"] or {}).items()} == single


def parameters(route: str, path: str) -> dict[str, str]:
    """Return what a path has in the places that a route names."""
    found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route), path)
    assert found, f"{path} is not by {route}"
    return found.groupdict()


def test_every_route_has_a_sample() -> None:
    """Whoever adds a route shows how it is called."""
    shown = {json.loads((EVENTS / sample["event"]).read_text()).get("routeKey") for sample in INDEX}
    assert set(routes()) <= shown


def test_every_function_has_samples() -> None:
    """Each function can be tried with `sam local invoke`."""
    wanted = {function["Handler"].split(".")[1] for function in functions().values()}
    assert wanted == {path.name for path in EVENTS.iterdir() if path.is_dir()}
