"""Alarms and dashboard look at metrics that are really sent, by the dimensions that they are sent with."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from db import errors
from tests.contract.stack import ROOT, functions, resources, template

OURS = "Slotwise"
CALLS = re.compile(r'(?:_count|_time|add_metric|single_metric)\(\s*"(\w+)"')
SENT = {
    name
    for module in ("telemetry", "gauges")
    for name in CALLS.findall((ROOT / "src" / "handlers" / f"{module}.py").read_text())
} | {each["MetricTransformations"][0]["MetricName"] for each in resources("AWS::Logs::MetricFilter").values()}
KINDS = {each.kind for each in vars(errors).values() if isinstance(each, type) and hasattr(each, "kind")}
BODY: str = resources("AWS::CloudWatch::Dashboard")["Dashboard"]["DashboardBody"]["Fn::Sub"][0]
NAMES = {function["FunctionName"]["Fn::Sub"] for function in functions().values()}


def _metrics(part: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - YAML
    """Yield every metric of ours that an alarm names, wherever it does."""
    if isinstance(part, list):
        for each in part:
            yield from _metrics(each)
    elif isinstance(part, dict):
        if part.get("Namespace") == OURS:
            yield part
        for each in part.values():
            yield from _metrics(each)


def _rows() -> Iterator[list[Any]]:
    """Yield the dashboard's rows as CloudWatch completes them: `.` repeats the cell above, `...` the row."""
    for widget in json.loads(re.sub(r'"value": \$\{\w+\}', '"value": 1', BODY))["widgets"]:
        before: list[Any] = []
        for row in widget["properties"]["metrics"]:
            cells = [cell for cell in row if isinstance(cell, str)]
            if cells:
                before = before if cells == ["..."] else [b if c == "." else c for b, c in _with_above(before, cells)]
                yield before


def _with_above(before: list[str], cells: list[str]) -> Iterator[tuple[str, str]]:
    """Pair each cell with the one above it, if any."""
    yield from zip([*before, *[""] * len(cells)], cells, strict=False)


@pytest.mark.parametrize("alarm", resources("AWS::CloudWatch::Alarm").items(), ids=lambda alarm: str(alarm[0]))
def test_an_alarm_looks_at_what_is_sent(alarm: tuple[str, dict[str, Any]]) -> None:
    """A metric, a function and a kind of error that exist; a mistyped one would never ring."""
    for metric in _metrics(alarm[1]):
        dimensions = {each["Name"]: each["Value"] for each in metric["Dimensions"]}
        assert metric["MetricName"] in SENT
        assert dimensions["function_name"]["Fn::Sub"] in NAMES
        assert dimensions.get("kind", "deadline") in KINDS


@pytest.mark.parametrize("alarm", resources("AWS::CloudWatch::Alarm").items(), ids=lambda alarm: str(alarm[0]))
def test_an_alarm_says_what_is_wrong_and_tells_who_is_named(alarm: tuple[str, dict[str, Any]]) -> None:
    """Who is woken reads a sentence; silence is no alarm; a topic hears of the end too."""
    assert len(alarm[1]["AlarmDescription"]) > 40
    assert alarm[1]["TreatMissingData"] == "notBreaching"
    assert alarm[1]["AlarmActions"] == alarm[1]["OKActions"] == {
        "Fn::If": ["HasTopic", [{"Ref": "AlarmTopicArn"}], {"Ref": "AWS::NoValue"}]
    }  # fmt: skip


def test_the_dashboard_shows_what_is_sent() -> None:
    """Each row of each graph: a metric that exists, of a function that exists."""
    ours = [row for row in _rows() if row[0] == OURS]
    assert {row[1] for row in ours} <= SENT
    assert {tuple(row[2::2]) for row in ours} == {("service", "function_name")}
    assert {row[5] for row in ours} <= {"${Records}", "${Monitor}"}


def test_the_deployments_brakes_are_alarms_about_the_code() -> None:
    """A version is taken back for its own mistakes, and not because the database was away meanwhile."""
    for function in functions().values():
        if "DeploymentPreference" in function:
            brakes = [alarm["Ref"] for alarm in function["DeploymentPreference"]["Alarms"]]
            assert brakes == ["ErrorsAlarm", "MistakesAlarm", "LeaksAlarm"]
            assert set(brakes) <= set(template()["Resources"])
