"""What a person sees of invocations: a table of the samples, a line for each request. Makes none."""

import json
from collections.abc import Iterable
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from local.environment import Invocation
from local.metrics import metrics_in
from local.samples import Sample

WIDE = 140
"""Columns of a terminal from which on there is room to say what an event shows."""


def table_of(results: Iterable[tuple[Sample, Invocation]], width: int) -> Table:
    """Return the samples with their answers and what they cost, for a terminal of `width` columns."""
    table = Table(title="Sample events", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), expand=True)
    table.add_column("event", no_wrap=True)
    if width >= WIDE:
        table.add_column("shows", no_wrap=True)
    for name in ("answer", "connection", "wait ms", "held ms", "total ms"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("start", no_wrap=True)
    table.add_column("body", no_wrap=True, overflow="ellipsis", ratio=1)
    for sample, invocation in results:
        shows = [sample.shows] if width >= WIDE else []
        result = (_status(sample, invocation), *costs(invocation), _start(invocation), Text(body_of(invocation)))
        table.add_row(sample.name, *shows, *result)
    return table


def _start(invocation: Invocation) -> Text:
    return Text("cold", "cyan") if invocation.is_cold else Text("warm")


def costs(invocation: Invocation) -> tuple[str, str, str, str]:
    """Return connection, wait, held and total time in words."""
    metrics = metrics_in(invocation.log)
    waited, held = _ms(metrics, "BorrowWait"), _ms(metrics, "BorrowHeld")
    return connection_of(metrics), waited, held, f"{invocation.duration_ms:.1f}"


def connection_of(metrics: dict[str, float]) -> str:
    """Return what became of the connection."""
    for name, word in (
        ("ConnectionFailures", "failed"),
        ("ConnectionsOpened", "opened"),
        ("ConnectionsReused", "reused"),
    ):
        if metrics.get(name):
            return word
    return "-"


def _ms(metrics: dict[str, float], name: str) -> str:
    return f"{metrics[name]:.1f}" if name in metrics else "-"


def status_of(invocation: Invocation) -> Any:  # noqa: ANN401 - any JSON
    """Return the answer's status, or the failure's type."""
    if invocation.failure or not isinstance(invocation.payload, dict):
        return invocation.failure
    return invocation.payload.get("statusCode")


def _status(sample: Sample, invocation: Invocation) -> Text:
    status = status_of(invocation)
    if status == sample.status:
        return Text("done" if status is None else str(status), "green")
    return Text(f"{status}, not {sample.status}", "bold red")


def body_of(invocation: Invocation) -> str:
    """Return the answer's body, or the error's message, on one line."""
    payload = invocation.payload if isinstance(invocation.payload, dict) else {}
    body = payload.get("body") or payload.get("errorMessage") or ""
    return " ".join(body.split()) if isinstance(body, str) else json.dumps(body)


def line_of(name: str, invocation: Invocation) -> str:
    """Return one invocation as a line of a log."""
    connection, wait, held, total = costs(invocation)
    start = "cold" if invocation.is_cold else "warm"
    return (
        f"{name} {status_of(invocation)} in {total} ms ({start} environment {invocation.environment}, "
        f"connection {connection}, wait {wait} ms, held {held} ms)"
    )
