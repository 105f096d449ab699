"""What a person sees of invocations: a table of the samples, a line for each request. Makes none."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

from local.environment import Invocation
from local.metrics import metrics_in
from local.samples import Sample


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the table: what it is called, what stands there, and from how wide a terminal on it is shown."""

    name: str
    cell: Callable[[Sample, Invocation], str | Text]
    terminal: int = 0
    justify: Literal["left", "right"] = "left"
    is_stretched: bool = False
    """It takes what the others leave, and what does not fit is cut."""


def table_of(results: Iterable[tuple[Sample, Invocation]], width: int) -> Table:
    """Return the samples with their answers and what they cost, for a terminal of `width` columns."""
    columns = [column for column in COLUMNS if column.terminal <= width]
    table = Table(title="Sample events", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in columns:
        stretch: dict[str, Any] = {"ratio": 1} if column.is_stretched else {"min_width": len(column.name)}
        table.add_column(column.name, justify=column.justify, no_wrap=True, overflow="ellipsis", **stretch)
    table.expand = any(column.is_stretched for column in columns)
    for result in results:
        table.add_row(*(column.cell(*result) for column in columns))
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


COLUMNS = (
    Column("event", lambda sample, _: sample.name),
    Column("shows", lambda sample, _: sample.shows, 190),
    Column("answer", _status, 0, "right"),
    Column("connection", lambda _, invocation: costs(invocation)[0], 0, "right"),
    Column("wait ms", lambda _, invocation: costs(invocation)[1], 96, "right"),
    Column("held ms", lambda _, invocation: costs(invocation)[2], 96, "right"),
    Column("total ms", lambda _, invocation: costs(invocation)[3], 0, "right"),
    Column("start", lambda _, invocation: _start(invocation)),
    Column("body", lambda _, invocation: Text(body_of(invocation)), 112, is_stretched=True),
)
