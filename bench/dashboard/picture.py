"""Draws the dashboard's graphs, each where the dashboard has it."""

import math
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

from bench.dashboard.points import Curve, curves
from bench.dashboard.run import LASTS_S, PHASES, Run
from bench.dashboard.widgets import Widget
from bench.fleet.plots import ACTIVE, FAILED, IDLE, QUIET, STYLE

COLOURS = (ACTIVE, FAILED, "#e0a030", "#5b8e7d", QUIET)
ROW_HEIGHT_IN = 2.3
LEGEND: Any = {
    "loc": "lower left",
    "bbox_to_anchor": (-0.01, 0.97),
    "frameon": False,
    "fontsize": 6.3,
    "ncols": 5,
    "columnspacing": 0.5,
    "handlelength": 1.0,
    "handletextpad": 0.2,
}
"""Between title and graph."""

NAME: Any = {
    "ha": "center",
    "fontsize": 7,
    "color": QUIET,
    "bbox": {"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 1.0},
}
"""Of a phase, to be read also over a line."""

Drawn = list[tuple[str, Curve, bool]]
"""Label, curve, and whether it is read on the right axis."""


def draw(widgets: Sequence[Widget], run: Run, path: Path) -> None:
    """Draw the graphs whose namespaces are measured here: the cluster's are RDS's own."""
    measured = {point.namespace for point in run.points}
    shown = [widget for widget in widgets if measured >= {series.namespace for series in widget.series}]
    rows = sorted({widget.y for widget in shown})
    with mpl.rc_context(STYLE):
        figure, grid = plt.subplots(len(rows), 2, figsize=(11, ROW_HEIGHT_IN * len(rows) + 0.6), squeeze=False)
        for widget in shown:
            _panel(grid[rows.index(widget.y)][int(widget.x > 0)], widget, _drawn(widget, run))
        for axes in grid[-1]:
            axes.set_xlabel("seconds")
        _name_phases(grid[0][0])
        figure.tight_layout(h_pad=1.2, w_pad=2)
        figure.savefig(path)
        plt.close(figure)


def _drawn(widget: Widget, run: Run) -> Drawn:
    return [
        (label, curve, series.is_right)
        for series in widget.series
        for label, curve in curves(series, run.points, run.began_at).items()
    ]


def _panel(axes: Any, widget: Widget, drawn: Drawn) -> None:  # noqa: ANN401 - matplotlib's Axes
    right = axes.twinx() if any(is_right for _, _, is_right in drawn) else axes
    if widget.is_stacked:
        _stack(axes, {label: curve for label, curve, _ in drawn})
    else:
        for (label, curve, is_right), colour in zip(drawn, cycle(COLOURS), strict=False):
            _line(right if is_right else axes, label, curve, color=colour, linestyle=":" if is_right else "-")
    for label, value in widget.limits.items():
        axes.axhline(value, color=QUIET, linewidth=1, linestyle="--", label=label)
    _furnish(axes, right, widget.title)


def _line(axes: Any, label: str, curve: Curve, **style: str) -> None:  # noqa: ANN401 - as above
    """Draw a curve that breaks off where nothing was measured."""
    values = [curve.get(second, math.nan) for second in range(LASTS_S)]
    axes.plot(range(LASTS_S), values, label=label, linewidth=1.4, marker=".", markersize=2.5, **style)


def _stack(axes: Any, by_label: Mapping[str, Curve]) -> None:  # noqa: ANN401 - as above
    seconds = range(LASTS_S)
    values = [[curve.get(second, 0.0) for second in seconds] for curve in by_label.values()]
    axes.stackplot(seconds, *values, labels=list(by_label), colors=[IDLE, ACTIVE], linewidth=0)


def _furnish(axes: Any, right: Any, title: str) -> None:  # noqa: ANN401 - as above
    both = list(dict.fromkeys((axes, right)))
    for each in both:
        each.set_ylim(0, max(1.0, 1.08 * each.get_ylim()[1]))
    axes.set_xlim(0, LASTS_S)
    axes.set_title(title, pad=18)
    for phase in PHASES:
        axes.axvspan(phase.begins, phase.ends, color=QUIET, alpha=0.09, linewidth=0, zorder=0)
    handles = [handle for each in both for handle in each.get_legend_handles_labels()[0]]
    labels = [*axes.get_legend_handles_labels()[1], *(f"{name} →" for name in _labels_of(right, axes))]
    axes.legend(handles, labels, **LEGEND).set_in_layout(False)


def _labels_of(right: Any, left: Any) -> list[str]:  # noqa: ANN401 - as above
    return [] if right is left else list(right.get_legend_handles_labels()[1])


def _name_phases(axes: Any) -> None:  # noqa: ANN401 - as above
    for phase in PHASES:
        middle = (phase.begins + min([phase.ends, *(each.begins for each in PHASES if each.begins > phase.begins)])) / 2
        axes.text(middle, 0.42, phase.title, transform=axes.get_xaxis_transform(), **NAME)
