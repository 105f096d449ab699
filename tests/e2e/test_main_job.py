"""The main job: a request in, an answer out of a real PostgreSQL, through the gateway and AWS's runtime client."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote
from uuid import uuid4

from local.application import DATABASE
from local.function import LambdaFunction
from local.metrics import metrics_in
from local.stack import Stack
from local.template import Route, Template
from tests.canary import VALUE
from tests.e2e.conftest import Client
from tests.faults.server import admin, wait_until

WARM_INVOCATIONS = 1_000


def test_a_record_lives_through_its_whole_life(call: Client) -> None:
    """Created, read, replaced, refused when stale, deleted, gone."""
    name = f"{VALUE} {uuid4()}"
    made = call("POST", "/records", {"name": name, "payload": {"colour": VALUE}})
    assert made.status == 201, made.body
    path = f"/records/{made.body['id']}"
    read = call("GET", path)
    assert (read.status, read.body["name"], read.headers["ETag"]) == (200, name, '"1"')
    assert call("POST", "/records", {"name": name, "payload": {}}).status == 409
    assert call("PUT", path, {"name": name, "payload": {}}, if_match='"1"').body["version"] == 2
    assert call("PUT", path, {"name": name, "payload": {}}, if_match='"1"').status == 412
    assert call("DELETE", path).status == 204
    assert call("GET", path).status == 404


def test_query_parameters_reach_the_function(call: Client) -> None:
    """What is asked for in the query is what is answered."""
    prefix = f"é {VALUE} {uuid4()} "
    call("POST", "/records/batch", {"items": [{"name": f"{prefix}{n}", "payload": {}} for n in range(3)]})
    page = call("GET", f"/records?limit=2&name_prefix={quote(prefix)}")
    assert [item["name"] for item in page.body["items"]] == [f"{prefix}0", f"{prefix}1"]
    rest = call("GET", f"/records?limit=2&name_prefix={quote(prefix)}&cursor={page.body['next_cursor']}")
    assert [item["name"] for item in rest.body["items"]] == [f"{prefix}2"]


def test_health_is_a_function_of_its_own(call: Client, stack: Stack) -> None:
    """It says that the database answers."""
    before = len(stack.function_of("health").invocations)
    assert call("GET", "/health").body["status"] == "ok"
    assert len(stack.function_of("health").invocations) == before + 1


def test_what_no_route_matches_is_refused_by_the_gateway(call: Client, stack: Stack) -> None:
    """No function is asked, as in API Gateway; a method that a path has not is no route either."""
    before = len(stack.function_of("records").invocations)
    for method, path in (("GET", "/nothing"), ("PATCH", "/records"), ("GET", "/records/1/more")):
        reply = call(method, path)
        assert (reply.status, reply.body) == (404, {"message": "Not Found"})
    assert len(stack.function_of("records").invocations) == before


def test_a_body_over_api_gateways_limit_is_refused_by_the_gateway(
    stack: Stack, connect: Callable[[str], Client]
) -> None:
    """10 MB, and the function never sees it."""
    reply = connect(stack.url)("POST", "/records", b"x" * (10 * 1024 * 1024 + 1))
    assert (reply.status, reply.body) == (413, {"message": "Request Entity Too Large"})


def test_the_documentation_is_served_on_a_developers_machine(call: Client) -> None:
    """The OpenAPI document, and a page that shows it."""
    assert "/records" in call("GET", "/openapi.json").body["paths"]
    assert "<html" in call("GET", "/docs").body.lower()


def test_requests_at_once_are_served_by_environments_of_their_own(
    stack: Stack, connect: Callable[[str], Client]
) -> None:
    """Each with a connection of its own, all frozen afterwards."""
    function = stack.function_of("records")
    clients = [connect(stack.url) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads, admin(stack.server, database=DATABASE) as session:
        session.autocommit = False
        session.execute("lock table records")
        asked = [threads.submit(client, "GET", "/records?limit=1") for client in clients]
        wait_until(lambda: function.busy == 4)
        session.rollback()
        assert [each.result().status for each in asked] == [200] * 4
    assert len(function.idle) >= 4
    wait_until(lambda: all(environment.runtime_states() == {"T"} for environment in function.idle))


def test_a_thousand_warm_invocations_open_one_connection_and_read_the_secret_once(
    stack: Stack,
    own_records: Callable[..., LambdaFunction],
    serve: Callable[[LambdaFunction, list[Route]], str],
    connect: Callable[[str], Client],
) -> None:
    """Counted by the function's own metrics and by Secrets Manager."""
    function = own_records(DB_AT_INIT="nothing")
    call = connect(serve(function, Template().routes()))
    read_before = stack.secrets_manager.calls["GetSecretValue"]
    for _ in range(1 + WARM_INVOCATIONS):
        assert call("GET", "/records?limit=1").status == 200
    sums = [metrics_in(invocation.log) for invocation in function.invocations]
    assert len({invocation.environment for invocation in function.invocations}) == 1
    assert sum(each["ConnectionsOpened"] for each in sums) == 1
    assert sum(each["ConnectionsReused"] for each in sums) == WARM_INVOCATIONS
    assert stack.secrets_manager.calls["GetSecretValue"] - read_before == 1
