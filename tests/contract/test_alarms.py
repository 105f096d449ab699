"""Alarms and dashboard look at metrics that are really sent, by the dimensions that they are sent with."""

import io
from collections.abc import Iterator
from contextlib import redirect_stdout
from functools import cache
from typing import Any

import pytest
from aws_lambda_powertools import Logger, Metrics

from bench.dashboard.widgets import widgets
from db import Borrow, LeakedBorrow, Repeat, Slots, SlowStatement, errors
from db.observation import Pin
from handlers.gauges import Gauges
from handlers.telemetry import Telemetry
from local.metrics import points_in
from local.template import Template
from monitor import Changes
from monitor.survey import Count
from tests.contract.resolution import Resolution
from tests.contract.stack import functions, resources
from tests.unit.test_verdicts import seen

OURS = "Slotwise"
STACK = "${AWS::StackName}"
ALARMS = resources("AWS::CloudWatch::Alarm")
NAMES = {function["FunctionName"]["Fn::Sub"].replace(STACK, "slotwise") for function in functions().values()}
KINDS = {each.kind for each in vars(errors).values() if isinstance(each, type) and hasattr(each, "kind")}
SERIES = [series for widget in widgets(Template().dashboard()) for series in widget.series]

Metric = tuple[str, frozenset[str]]
"""A name, and the names of its dimensions."""


@cache
def sent() -> frozenset[Metric]:
    """Return every metric that the code sends: each fact is told once, and the log read as CloudWatch does."""
    metrics, log = Metrics(namespace=OURS, service="slotwise"), io.StringIO()
    metrics.clear_metrics()
    with redirect_stdout(log):
        _tell_everything(Telemetry(metrics, Logger(service="test")), metrics)
    told = {(point.name, frozenset(point.dimensions)) for point in points_in(log.getvalue().splitlines())}
    return frozenset(told | _filtered())


def _tell_everything(telemetry: Telemetry, metrics: Metrics) -> None:
    telemetry.invoked("f")
    slots = Slots(refusals=1, waited_ms=1, used=1, usable=2)
    telemetry.borrowed(Borrow(waited_ms=1, connect_ms=1, held_ms=1, slots=slots, failure="saturated"))
    telemetry.leaked(LeakedBorrow(call_site="here", held_ms=1))
    telemetry.repeated(Repeat(kind="conflict", wait_ms=1))
    telemetry.slow(SlowStatement(statement="select 1", duration_ms=1))
    telemetry.pins(Pin(statement="select 1", reason="r"))
    one = Count(role="r", state="idle", application="a", connections=1)
    Gauges(metrics).show(seen(connections=(one,)), Changes(), ended=0)
    metrics.flush_metrics()


def _filtered() -> set[Metric]:
    """Return what CloudWatch makes of log lines."""
    return {
        (made["MetricName"], frozenset(each["Key"] for each in made["Dimensions"]))
        for declared in resources("AWS::Logs::MetricFilter").values()
        for made in declared["MetricTransformations"]
    }


def _looked_at(alarm: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every metric that an alarm looks at, AWS's too."""
    if "MetricName" in alarm:
        yield alarm
    for each in alarm.get("Metrics", ()):
        if "MetricStat" in each:
            yield each["MetricStat"]["Metric"]


def _dimensions(metric: dict[str, Any]) -> dict[str, Any]:
    return {each["Name"]: each["Value"] for each in metric["Dimensions"]}


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_looks_at_what_is_sent(name: str) -> None:
    """A metric, a function and a kind of error that exist; a mistyped one would never ring."""
    for metric in (metric for metric in _looked_at(ALARMS[name]) if metric["Namespace"] == OURS):
        dimensions = _dimensions(metric)
        assert (metric["MetricName"], frozenset(dimensions)) in sent()
        assert dimensions["function_name"]["Fn::Sub"].replace(STACK, "slotwise") in NAMES
        assert dimensions.get("kind", "deadline") in KINDS


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_says_what_is_wrong_and_tells_who_is_named(name: str) -> None:
    """Who is woken reads a sentence; silence is no alarm; a topic hears of the end too."""
    alarm = ALARMS[name]
    for given in ({}, {"IamUser": "app_iam"}):
        assert len(Resolution(given).of(alarm["AlarmDescription"])) > 40
    assert alarm["TreatMissingData"] == "notBreaching"
    topic = {"Fn::If": ["HasTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]}
    assert alarm["AlarmActions"] == alarm["OKActions"] == topic


@pytest.mark.parametrize("name", ["RefusedLoginsAlarm", "SecretsAlarm"])
def test_an_alarm_about_the_login_speaks_of_the_one_that_there_is(name: str) -> None:
    """Who is woken does not look for a secret where there is none."""
    description = ALARMS[name]["AlarmDescription"]
    by_secret, by_iam = (Resolution(given).of(description) for given in ({}, {"IamUser": "app_iam"}))
    assert ("secret" in by_secret, "IAM" in by_secret) == (True, False)
    assert ("secret" in by_iam, "IAM" in by_iam) == (False, True)


def test_the_dashboard_shows_what_is_sent() -> None:
    """Each row of each graph, searches too: a metric that exists with these dimensions, of a function that exists."""
    ours = [series for series in SERIES if series.namespace == OURS]
    assert ours
    for series in ours:
        assert (series.metric, frozenset(series.dimensions) | series.open) in sent()
        assert series.dimensions["function_name"] in NAMES


def test_the_dashboard_shows_what_an_operator_asks_first() -> None:
    """Slots, connections, waits, failures, slow statements, cold starts, errors, throttles, old transactions."""
    shown = {series.metric for series in SERIES}
    assert {"ServerSlotsUsed", "ServerSlotsUsable", "ConnectionsOpened", "ConnectionsReused", "ColdStart"} <= shown
    assert {"BorrowWait", "SlotsRefused", "ConnectionFailures", "SlowStatements", "OldestTransaction"} <= shown
    assert {"Errors", "Throttles"} <= shown


def test_an_alarm_rings_for_each_of_them_that_can_be_wrong() -> None:
    """Failures by the kind that says whom to call."""
    metrics = [metric for alarm in ALARMS.values() for metric in _looked_at(alarm)]
    watched = {(metric["MetricName"], _dimensions(metric).get("kind")) for metric in metrics}
    assert {
        ("ConnectionFailures", k) for k in ("saturated", "login_refused", "secret", "deadline", "unreachable")
    } <= watched
    others = {"ServerSlotsUsed", "BorrowWait", "SlowStatements", "Errors", "Throttles", "OldestTransaction"}
    assert {(name, None) for name in others} <= watched


BRAKES = [("AWS/Lambda", "Errors"), (OURS, "Mistakes"), (OURS, "ConnectionsLeaked")]


def _watched(metric: dict[str, Any]) -> str:
    """Return the name of the function whose metric that is."""
    given = _dimensions(metric).get("function_name") or _dimensions(metric)["FunctionName"]
    name: str = functions()[given["Ref"]]["FunctionName"]["Fn::Sub"] if "Ref" in given else given["Fn::Sub"]
    return name


def test_the_deployments_brakes_are_alarms_about_the_code_of_that_function() -> None:
    """A version is taken back for its own mistakes, not another's, and not because the database was away meanwhile."""
    braked = {name: each for name, each in functions().items() if "DeploymentPreference" in each}
    assert set(braked) == {"RecordsFunction", "HealthFunction"}
    for function in braked.values():
        brakes = [ALARMS[alarm["Ref"]] for alarm in function["DeploymentPreference"]["Alarms"]]
        assert [(brake["Namespace"], brake["MetricName"]) for brake in brakes] == BRAKES
        assert {_watched(brake) for brake in brakes} == {function["FunctionName"]["Fn::Sub"]}


def test_mistakes_are_counted_in_the_logs_of_all_functions_that_they_stop() -> None:
    """An alarm on what no filter counts is no brake."""
    logs = {each["LogGroupName"]["Ref"] for each in resources("AWS::Logs::MetricFilter").values()}
    braked = [each for each in functions().values() if "DeploymentPreference" in each]
    assert logs == {each["LoggingConfig"]["LogGroup"]["Ref"] for each in braked}
