"""The dashboard's picture: rows as CloudWatch reads them, points as it sums them up."""

import pytest

from bench.dashboard.points import curves, percentile
from bench.dashboard.widgets import Series, widgets
from local.metrics import Point

SEARCH = "SEARCH('{N,service,f,kind} MetricName=\"Failures\" f=\"a\"', 'Sum', 60)"


def series(*rows: list[object]) -> list[Series]:
    widget = {"x": 0, "y": 0, "width": 12, "properties": {"title": "t", "stat": "Sum", "metrics": [*rows]}}
    return list(widgets({"widgets": [widget]})[0].series)


def test_a_row_repeats_what_is_above() -> None:
    """A point stands for the cell above, three for the rest of the row, a statistic for all but one row."""
    first, second, third = series(
        ["N", "Opened", "f", "a"], [".", "Held", ".", ".", {"stat": "p99", "yAxis": "right"}], ["...", {"stat": "p50"}]
    )
    assert (first.metric, first.dimensions, first.stat, first.is_right) == ("Opened", {"f": "a"}, "Sum", False)
    assert (second.metric, second.dimensions, second.stat, second.is_right) == ("Held", {"f": "a"}, "p99", True)
    assert (third.metric, third.dimensions, third.stat) == ("Held", {"f": "a"}, "p50")


def test_a_search_leaves_dimensions_open() -> None:
    """Each of their values is a curve of its own."""
    (found,) = series([{"expression": SEARCH}])
    assert (found.namespace, found.metric, found.stat) == ("N", "Failures", "Sum")
    assert (found.dimensions, found.open) == ({"f": "a"}, frozenset({"service", "kind"}))
    points = [
        Point(10.5, "N", "Failures", {"service": "s", "f": "a", "kind": "saturated"}, 1),
        Point(10.9, "N", "Failures", {"service": "s", "f": "a", "kind": "saturated"}, 2),
        Point(12.0, "N", "Failures", {"service": "s", "f": "a", "kind": "deadline"}, 1),
        Point(12.0, "N", "Failures", {"service": "s", "f": "b", "kind": "deadline"}, 5),
        Point(12.0, "N", "Failures", {"service": "s", "f": "a"}, 9),
    ]
    assert curves(found, points, began_at=10) == {"deadline": {2: 1}, "saturated": {0: 3}}


@pytest.mark.parametrize(("percent", "value"), [(50, 2), (75, 3), (99, 4), (100, 4), (1, 1)])
def test_a_percentile_is_a_value_that_was_there(percent: float, value: float) -> None:
    """The smallest that so many do not exceed."""
    assert percentile([3, 1, 4, 2], percent) == value
