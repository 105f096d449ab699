"""What was measured, second by second, as CloudWatch would sum it up."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from statistics import fmean
from types import MappingProxyType

from bench.dashboard.widgets import Series
from local.metrics import Point

Curve = dict[int, float]
"""A value by the second."""

STATISTICS: Mapping[str, Callable[[Iterable[float]], float]] = MappingProxyType(
    {"Sum": sum, "Maximum": max, "Average": fmean}
)


def curves(series: Series, points: Iterable[Point], began_at: float) -> dict[str, Curve]:
    """Return what `series` shows of `points`, by label; seconds are counted from `began_at`."""
    values: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for point in points:
        if _is_of(point, series):
            values[_label(point, series)][math.floor(point.at - began_at)].append(point.value)
    return {
        label: {second: _statistic(series.stat, each) for second, each in sorted(by_second.items())}
        for label, by_second in sorted(values.items())
    }


def _is_of(point: Point, series: Series) -> bool:
    is_metric = (point.namespace, point.name) == (series.namespace, series.metric)
    has_dimensions = series.dimensions.items() <= point.dimensions.items()
    return is_metric and has_dimensions and point.dimensions.keys() - series.dimensions.keys() == series.open


def _label(point: Point, series: Series) -> str:
    """Name the metric; of a search what tells its series apart."""
    if series.open:
        return point.dimensions[max(series.open - {"service"})]
    return f"{series.metric} {series.stat}" if series.stat.startswith("p") else series.metric


def _statistic(name: str, values: Sequence[float]) -> float:
    if name.startswith("p"):
        return percentile(values, float(name[1:]))
    return STATISTICS[name](values)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that at least `percent` of them do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]
