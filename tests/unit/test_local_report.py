"""The table of samples on terminals of common widths."""

from io import StringIO

import pytest
from rich.console import Console

from local.environment import Invocation
from local.report import COLUMNS, table_of
from local.samples import samples

EMF = (
    '{"_aws": {"Timestamp": 1, "CloudWatchMetrics": [{"Namespace": "x", "Dimensions": [["service"]], "Metrics": '
    '[{"Name": "ConnectionsOpened"}, {"Name": "BorrowWait"}, {"Name": "BorrowHeld"}]}]}, "service": "s", '
    '"ConnectionsOpened": [1], "BorrowWait": [14.4], "BorrowHeld": [1014.4]}'
)
ANSWER = {"statusCode": 503, "body": '{"id": 10, "name": "teapot", "payload": {"colour": "blue"}, "version": 1}'}


@pytest.mark.parametrize("width", [80, 100, 120, 150, 200])
def test_the_table_is_readable_at_common_widths(width: int) -> None:
    """Headings and names whole, each line within the terminal; only an answer's body may be cut, and has room."""
    invocation = Invocation(environment=1, is_cold=True, duration_ms=1913.5, payload=ANSWER, log=(EMF,))
    console = Console(width=width, file=StringIO())
    console.print(table_of([(sample, invocation) for sample in samples()], width))
    assert isinstance(console.file, StringIO)
    lines = console.file.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    head, rows = lines[2], [line for line in lines if "503, not" in line]
    assert [column.name for column in COLUMNS if column.terminal <= width] == [
        name for column in COLUMNS if (name := column.name) in head
    ]
    assert len(rows) == len(list(samples()))
    assert all(sample.name in row for sample, row in zip(samples(), rows, strict=True))
    assert not [row for row in rows if "…" in row and len(row.split("{")[1]) < 15]
