"""Reads metrics out of a function's log, as CloudWatch does. Knows nothing of what they mean.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Point:
    """One value of a metric."""

    at: float
    """Seconds since 1970."""
    namespace: str
    name: str
    dimensions: Mapping[str, str]
    value: float


def metrics_in(log: Iterable[str]) -> dict[str, float]:
    """Return each metric's sum over `log`; records that only repeat a count by its kind are left out."""
    sums: dict[str, float] = {}
    for point in points_in(log):
        if "kind" not in point.dimensions:
            sums[point.name] = sums.get(point.name, 0) + point.value
    return sums


def points_in(log: Iterable[str]) -> Iterator[Point]:
    """Yield every value that `log` has."""
    for record in _records(log):
        at = record["_aws"]["Timestamp"] / 1000
        for directive in record["_aws"]["CloudWatchMetrics"]:
            (names,) = directive["Dimensions"]
            dimensions = {name: record[name] for name in names}
            for metric in directive["Metrics"]:
                for value in _values(record[metric["Name"]]):
                    yield Point(at, directive["Namespace"], metric["Name"], dimensions, value)


def _records(log: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in log:
        if line.startswith("{") and '"_aws"' in line:
            record = json.loads(line)
            if "CloudWatchMetrics" in record.get("_aws", {}):
                yield record


def _values(value: float | list[float]) -> list[float]:
    return value if isinstance(value, list) else [value]
