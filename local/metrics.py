"""Reads metrics out of a function's log, as CloudWatch does. Knows nothing of what they mean.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any


def metrics_in(log: Iterable[str]) -> dict[str, float]:
    """Return each metric's sum over `log`; records that only repeat a count by its kind are left out."""
    sums: Counter[str] = Counter()
    for record in _records(log):
        for directive in record["_aws"]["CloudWatchMetrics"]:
            if not any("kind" in dimensions for dimensions in directive["Dimensions"]):
                sums.update({metric["Name"]: _sum(record[metric["Name"]]) for metric in directive["Metrics"]})
    return dict(sums)


def _records(log: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in log:
        if line.startswith("{") and '"_aws"' in line:
            record = json.loads(line)
            if "CloudWatchMetrics" in record.get("_aws", {}):
                yield record


def _sum(value: float | list[float]) -> float:
    return sum(value) if isinstance(value, list) else value
