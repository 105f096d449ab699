"""CloudFormation is answered, once and in time, whatever happens."""

import time
from collections.abc import Callable, Iterator
from http.client import HTTPException
from types import ModuleType
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes import CloudFormationCustomResourceEvent as Event

import migrations
from local.cloudformation import STACK
from local.postgres import free_port
from provision import custom_resource, provisioning
from provision.custom_resource import serve
from tests.faults.server import wait_until
from tests.functions.conftest import Context
from tests.provision.cloudformation import CloudFormation
from tests.provision.conftest import HEAD, Site

Load = Callable[..., ModuleType]
CONTEXT = Context(function_name="slotwise-provision", remaining_ms=30_000)


@pytest.fixture
def cloudformation() -> Iterator[CloudFormation]:
    with CloudFormation() as waiting:
        yield waiting


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses that a test can wait for."""
    monkeypatch.setattr(custom_resource, "PAUSE_S", 0.01)
    monkeypatch.setattr(provisioning, "WAKING_S", 1.0)


def test_create_provisions_and_returns_attributes(site: Site, function: Load, cloudformation: CloudFormation) -> None:
    """The answer has all that CloudFormation wants, and the same physical id for good."""
    properties = {"Plan": site.wish(), "Code": "1"}
    assert function().handler(cloudformation.event("Create", properties), CONTEXT) == {}
    (answer,) = cloudformation.answers
    budget = "records 8 x 1 x 1 = 8, headroom 5; 13 connections, and the server has 27 usable slots: 14 to spare"
    assert answer == {
        "Status": "SUCCESS",
        "Reason": "",
        "PhysicalResourceId": "Schema-6f1b7b00-0000-11f0-8000-0a1b2c3d4e5f",
        "StackId": STACK,
        "RequestId": "request-1",
        "LogicalResourceId": "Schema",
        "Data": {"Role": site.role, "Revision": HEAD, "ConnectionLimit": 12, "Budget": budget},
    }
    assert cloudformation.content_types == [""], "the address is signed for no content type"
    function().handler(cloudformation.event("Update", properties), CONTEXT)
    assert cloudformation.answers[1]["PhysicalResourceId"] == answer["PhysicalResourceId"]


def test_delete_leaves_everything(site: Site, function: Load, cloudformation: CloudFormation) -> None:
    """Also where nothing can be reached any more, or nothing was ever made."""
    site.provision()
    load = function(DATABASE_URL=f"postgres://u:p@127.0.0.1:{free_port()}/gone")
    load.handler(cloudformation.event("Delete", {}), CONTEXT)
    (answer,) = cloudformation.answers
    assert answer["Status"] == "SUCCESS"
    assert "nothing was deleted" in answer["Data"]["Report"]
    with site.as_application() as application:
        application.execute("select 1 from records")


def over_budget(site: Site) -> dict[str, Any]:
    return {"Plan": site.wish(Functions=[{"Function": "records", "Environments": "100"}])}


@pytest.mark.parametrize(
    ("properties", "variables", "reason"),
    [
        (over_budget, {}, "records 100 x 1 x 1 = 100, headroom 5; 105 connections, and the server has 27 usable slots"),
        (lambda site: {"Plan": site.wish()}, {"DB_PORT": "1"}, "unreachable:"),
        (lambda site: {"Plan": site.wish()}, {"DB_PORT": "no"}, "DB_PORT must be"),
        (lambda site: {"Plan": site.wish()}, {"DB_NAME": "absent"}, "login_refused:"),
        (lambda site: {"Plan": site.wish(ApplicationSecretId="none")}, {}, "secret none cannot be read"),
        (lambda site: {"Plan": site.wish(Typo="1")}, {}, "Typo: Extra inputs"),
        (lambda _: {}, {}, "the plan cannot be read"),
    ],
    ids=["budget", "down", "settings", "database", "secret", "typo", "no plan"],
)
@pytest.mark.usefixtures("without_patience")
def test_a_failure_is_answered_with_its_reason(
    site: Site,
    function: Load,
    cloudformation: CloudFormation,
    properties: Callable[[Site], dict[str, Any]],
    variables: dict[str, str],
    reason: str,
) -> None:
    """Who deploys reads in the stack's events what to do; no password is in it."""
    load = function(**variables)
    load.handler(cloudformation.event("Create", properties(site)), CONTEXT)
    (answer,) = cloudformation.answers
    assert answer["Status"] == "FAILED"
    assert reason in answer["Reason"]
    assert site.password not in str(answer)
    assert answer["PhysicalResourceId"]


def test_who_waits_for_a_lock_in_vain_is_told_where_to_look(
    site: Site, function: Load, cloudformation: CloudFormation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another deployment that hangs, say."""
    monkeypatch.setattr(custom_resource, "ANSWER_S", 1.0)  # the timer's answer is long after the work's
    load = function()
    with site.as_master() as other:
        other.execute("select pg_advisory_lock(%s)", [migrations.LOCK_KEY])
        context = Context(remaining_ms=load.RESERVE_MS + 3000)
        load.handler(cloudformation.event("Create", {"Plan": site.wish()}), context)
    (answer,) = cloudformation.answers
    assert answer["Status"] == "FAILED"
    assert answer["Reason"].startswith("deadline: ")
    assert "pg_locks says who" in answer["Reason"]


def test_work_that_takes_too_long_is_answered_in_time(cloudformation: CloudFormation) -> None:
    """The timer answers before the function ends; what comes later is not said a second time."""
    event = Event(cloudformation.event("Create", {}))
    began = time.monotonic()

    def work() -> custom_resource.Data:
        while not cloudformation.answers:
            time.sleep(0.01)
            assert time.monotonic() - began < 10
        return {"Late": 1}

    serve(event, 1000 * custom_resource.ANSWER_S + 200, work, str)
    (answer,) = cloudformation.answers
    assert answer["Status"] == "FAILED"
    assert "not done in" in answer["Reason"]


def test_where_the_timers_answer_does_not_arrive_the_work_answers(cloudformation: CloudFormation) -> None:
    """CloudFormation's address was in trouble for a while: who says last what has become of it is heard."""
    cloudformation.refusals = custom_resource.ATTEMPTS
    event = Event(cloudformation.event("Create", {}))

    def work() -> custom_resource.Data:
        wait_until(lambda: cloudformation.refusals == 0)
        return {"Late": 1}

    serve(event, 1000 * custom_resource.ANSWER_S + 100, work, str)
    assert [answer["Status"] for answer in cloudformation.answers] == ["SUCCESS"]


def test_an_exit_is_answered_too(cloudformation: CloudFormation) -> None:
    """Even what is no Exception leaves no stack waiting."""

    def work() -> custom_resource.Data:
        raise SystemExit

    with pytest.raises(SystemExit):
        serve(Event(cloudformation.event("Create", {})), 60_000, work, str)
    assert [answer["Status"] for answer in cloudformation.answers] == ["FAILED"]


def test_a_reason_that_cannot_be_told_is_answered_without(cloudformation: CloudFormation) -> None:
    """An error in telling the error is no reason to be silent."""

    def fail(*_: object) -> Any:  # noqa: ANN401 - never returns
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        serve(Event(cloudformation.event("Create", {})), 60_000, fail, fail)
    assert [answer["Status"] for answer in cloudformation.answers] == ["FAILED"]


def test_an_address_in_trouble_is_tried_again(cloudformation: CloudFormation) -> None:
    """Two refusals, then the answer."""
    cloudformation.refusals = 2
    serve(Event(cloudformation.event("Delete", {})), 60_000, dict, str)
    assert [answer["Status"] for answer in cloudformation.answers] == ["SUCCESS"]


def test_an_answer_that_does_not_arrive_is_an_error(cloudformation: CloudFormation) -> None:
    """Lambda runs the function again after an error, and it may have better luck."""
    cloudformation.refusals = 99
    with pytest.raises(HTTPException):
        serve(Event(cloudformation.event("Delete", {})), 60_000, dict, str)
    assert cloudformation.refusals == 99 - custom_resource.ATTEMPTS


def test_a_long_reason_fits(cloudformation: CloudFormation) -> None:
    """CloudFormation takes 4096 bytes in all."""

    def fail() -> custom_resource.Data:
        raise ZeroDivisionError("ü" * 5000)

    serve(Event(cloudformation.event("Create", {})), 60_000, fail, str)
    assert cloudformation.answers[0]["Reason"].startswith("ü" * 400)


def test_by_hand_the_report_is_returned(site: Site, function: Load) -> None:
    """The same work, and the report as JSON; a failure is a report too."""
    load = function()
    report = load.handler({"Plan": site.wish()}, CONTEXT)
    assert (report["status"], report["revision"]) == ("ok", HEAD)
    assert "create the role" in report["changes"]
    assert load.handler({"Plan": site.wish(Headroom=30)}, CONTEXT)["status"] == "failed"
    assert load.handler({"Action": "dance"}, CONTEXT)["reason"] == "Action must be one of provision, doctor"
