"""Reads a CloudWatch dashboard's body: which graphs it has, and which metrics are in them. Draws none.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

SEARCH = re.compile(r"SEARCH\('\{(?P<schema>[^}]+)\} (?P<filters>[^']+)', '(?P<stat>\w+)'")
FILTER = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One row of a graph: one metric, or one for each value of the dimensions that a search leaves open."""

    namespace: str
    metric: str
    dimensions: Mapping[str, str]
    open: frozenset[str] = frozenset()
    stat: str
    is_right: bool = False
    """Whether it is read on the right axis."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Widget:
    """One graph, and where it is in the grid."""

    title: str
    x: int
    y: int
    width: int
    series: tuple[Series, ...]
    is_stacked: bool = False
    limits: Mapping[str, float]
    """Lines across it, by their labels."""


def widgets(body: Mapping[str, Any]) -> list[Widget]:
    """Return the graphs in their order."""
    return [_widget(each) for each in body["widgets"]]


def _widget(widget: Mapping[str, Any]) -> Widget:
    properties = widget["properties"]
    lines = properties.get("annotations", {}).get("horizontal", ())
    return Widget(
        title=properties["title"],
        x=widget["x"],
        y=widget["y"],
        width=widget["width"],
        series=tuple(_series(properties["metrics"], properties.get("stat", "Average"))),
        is_stacked=properties.get("stacked", False),
        limits={line["label"]: float(line["value"]) for line in lines},
    )


def _series(rows: list[list[Any]], stat: str) -> Iterator[Series]:
    above: list[str] = []
    for row in rows:
        cells = [cell for cell in row if isinstance(cell, str)]
        options = next((cell for cell in row if isinstance(cell, dict)), {})
        if "expression" in options:
            yield _searched(options["expression"])
            continue
        above = _completed(above, cells)
        namespace, metric, *dimensions = above
        yield Series(
            namespace=namespace,
            metric=metric,
            dimensions=dict(zip(dimensions[::2], dimensions[1::2], strict=True)),
            stat=options.get("stat", stat),
            is_right=options.get("yAxis") == "right",
        )


def _completed(above: list[str], cells: list[str]) -> list[str]:
    """Return the row in full: `.` repeats the cell above, `...` all that is not said."""
    if cells[0] == "...":
        return [*above[: len(above) - len(cells) + 1], *cells[1:]]
    return [above[number] if cell == "." else cell for number, cell in enumerate(cells)]


def _searched(expression: str) -> Series:
    found = SEARCH.match(expression)
    if found is None:
        raise ValueError(f"only a SEARCH is understood, not {expression}")
    namespace, *names = found["schema"].split(",")
    filters = dict(FILTER.findall(found["filters"]))
    return Series(
        namespace=namespace,
        metric=filters.pop("MetricName"),
        dimensions=filters,
        open=frozenset(names) - filters.keys(),
        stat=found["stat"],
    )
