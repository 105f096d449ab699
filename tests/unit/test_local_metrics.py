"""Metrics out of a log, as CloudWatch reads them."""

import json

from local.metrics import metrics_in


def record(dimensions: list[str], **values: object) -> str:
    """Make a line in embedded metric format."""
    named = {name: f"a {name}" for name in dimensions}
    directive = {"Namespace": "N", "Dimensions": [dimensions], "Metrics": [{"Name": name} for name in values]}
    return json.dumps({"_aws": {"Timestamp": 1, "CloudWatchMetrics": [directive]}, **values, **named})


def test_values_are_summed() -> None:
    """Single values, lists of them, and over records."""
    log = ["START", record(["service"], Opened=[1.0, 0.0], Wait=2.5), '{"level": "INFO"}', record(["service"], Wait=1)]
    assert metrics_in(log) == {"Opened": 1.0, "Wait": 3.5}


def test_a_failures_kind_is_not_another_failure() -> None:
    """The record that repeats a count by kind adds nothing."""
    assert metrics_in([record(["service"], Failures=1), record(["service", "kind"], Failures=1)]) == {"Failures": 1}
