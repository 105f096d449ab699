"""The pictures beside bench/fleet.md and in the README."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.patches import Rectangle

from bench.fleet.report import NAMES
from bench.fleet.results import Result
from bench.fleet.scenarios import OURS

ACTIVE, IDLE, FAILED, QUIET = "#2f6f9f", "#bcd3e3", "#d1495b", "#6b7280"
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": QUIET,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "savefig.dpi": 150,
    "svg.hashsalt": "slotwise",
}
PANELS_A_ROW = 3
FOOT_OF_MISSED, TOP_OF_MISSED = 1.1, 1.5
"""Where the band of missed requests lies, in slots."""


def draw(results: Sequence[Result], directory: Path) -> None:
    """Draw what the results allow."""
    with mpl.rc_context(STYLE):
        if side_by_side := [result for result in results if result.scenario == "x10"]:
            _connections(_ordered(side_by_side), directory / "fleet-connections.png")
            _waits(_ordered(side_by_side), directory / "fleet-waits.png")
        _answered(results, directory / "fleet-answered.png")


def plain(strategy: str) -> str:
    """Return the strategy's name without markup."""
    return NAMES[strategy].strip("*")


def _ordered(results: Sequence[Result]) -> list[Result]:
    order = list(NAMES)
    return sorted(results, key=lambda result: order.index(result.strategy))


# --- connections over time ---


def _connections(results: Sequence[Result], path: Path) -> None:
    rows = -(-len(results) // PANELS_A_ROW)
    figure, grid = plt.subplots(
        rows, PANELS_A_ROW, figsize=(11, 2.6 * rows + 0.7), sharex=True, sharey=True, squeeze=False
    )
    for axes, result in zip(grid.flat, results, strict=False):
        _connections_of(axes, result)
    for axes in list(grid.flat)[len(results) :]:
        axes.axis("off")
    for axes in grid[-1]:
        axes.set_xlabel("seconds")
    figure.suptitle(
        "Connections on the server: 10 x more environments than slots, ten times the requests from second 10 on",
        x=0.01,
        ha="left",
        fontweight="bold",
    )
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper right", ncols=4, frameon=False, bbox_to_anchor=(1, 0.96))
    figure.tight_layout(rect=(0, 0, 1, 0.95))
    figure.savefig(path)
    plt.close(figure)


def _connections_of(axes: Any, result: Result) -> None:  # noqa: ANN401 - matplotlib's Axes
    at_s, active, idle = zip(*result.connections, strict=True)
    axes.stackplot(at_s, active, idle, colors=[ACTIVE, IDLE], labels=["at work", "idle"], linewidth=0)
    axes.axhline(result.slots, color=QUIET, linewidth=1, linestyle="--", label="slots")
    _missed(axes, result)
    axes.set_ylim(0, result.slots * TOP_OF_MISSED)
    axes.set_yticks([0, result.slots // 2, result.slots])
    axes.set_xlim(0, max(second for second, _, _ in result.requests))
    axes.set_title(f"{plain(result.strategy)}\n")
    share = f"{_percent(result.figures.in_good_time)} in good time"
    axes.text(0, 1.04, share, transform=axes.transAxes, color=FAILED if result.figures.in_good_time < 1 else QUIET)


def _missed(axes: Any, result: Result) -> None:  # noqa: ANN401 - matplotlib's Axes
    """Draw a band above the slots: full height where no request of that second was answered in good time."""
    foot, height = result.slots * FOOT_OF_MISSED, result.slots * (TOP_OF_MISSED - FOOT_OF_MISSED)
    seconds = [second for second, _, _ in result.requests]
    heights = [height * missed / came for _, came, missed in result.requests]
    label = "share of requests not answered in good time"
    axes.bar(seconds, heights, bottom=foot, width=1, align="edge", color=FAILED, linewidth=0, label=label)


def _percent(share: float) -> str:
    return "100 %" if share == 1 else f"{min(100 * share, 99.9):.1f} %"


# --- answered in good time, everywhere ---


def _answered(results: Sequence[Result], path: Path) -> None:
    scenarios = list(dict.fromkeys((result.scenario, result.title) for result in results))
    strategies = [name for name in NAMES if any(result.strategy == name for result in results)]
    shares = {(result.scenario, result.strategy): result.figures.in_good_time for result in results}
    figure, axes = plt.subplots(figsize=(11, 0.42 * len(strategies) + 1.9))
    for column, (scenario, _) in enumerate(scenarios):
        for row, strategy in enumerate(strategies):
            _cell(axes, column, row, shares.get((scenario, strategy)))
    axes.set_xticks(range(len(scenarios)), [_wrapped(title) for _, title in scenarios])
    axes.set_yticks(range(len(strategies)), [plain(name) for name in strategies])
    for label, strategy in zip(axes.get_yticklabels(), strategies, strict=True):
        label.set_fontweight("bold" if strategy == OURS else "normal")
    axes.set_xlim(-0.5, len(scenarios) - 0.5)
    axes.set_ylim(len(strategies) - 0.5, -0.5)
    axes.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)
    figure.suptitle("Requests answered in good time, in percent", x=0.01, ha="left", fontweight="bold")
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def _cell(axes: Any, column: int, row: int, share: float | None) -> None:  # noqa: ANN401 - matplotlib's Axes
    if share is None:
        return
    colour = mpl.colormaps["RdYlGn"](0.08 + 0.84 * share**2)
    axes.add_patch(Rectangle((column - 0.47, row - 0.44), 0.94, 0.88, color=colour, alpha=0.75, linewidth=0))
    axes.text(column, row, _percent(share).removesuffix(" %"), ha="center", va="center")


def _wrapped(title: str) -> str:
    lines = [""]
    for word in title.split():
        if len(lines[-1]) + len(word) > 15:  # noqa: PLR2004 - a column's width in characters
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


# --- what answers waited ---


def _waits(results: Sequence[Result], path: Path) -> None:
    figure, axes = plt.subplots(figsize=(11, 3.6))
    for number, result in enumerate(results):
        percent = [int(key) for key in result.waited_s]
        waited_ms = [max(1.0, value * 1000) for value in result.waited_s.values()]
        answered = [result.figures.answered * value for value in percent]
        is_ours = result.strategy == OURS
        axes.step(
            waited_ms,
            answered,
            where="post",
            linewidth=2.6 if is_ours else 1.3,
            color="black" if is_ours else mpl.colormaps["tab10"](number),
            label=plain(result.strategy),
            zorder=3 if is_ours else 2,
        )
    axes.set_xscale("log")
    axes.set_xlabel("milliseconds beyond the invocation's own work and start")
    axes.set_ylabel("requests answered by then, %")
    axes.set_ylim(0, 104)
    axes.axvline(1000, color=QUIET, linewidth=1, linestyle="--")
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    axes.set_title("How long requests waited: 10 x more environments than slots")
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)
