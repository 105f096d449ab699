"""Readers of PostgreSQL's text for Python's types: pg8000's results at a fraction of its time.

Where a value is not in the form that nearly all are in, pg8000's own reader takes it.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date, datetime, time
from struct import Struct
from typing import Any

from pg8000 import converters

Reader = Callable[[str], Any]

LAST_HOUR = "24"
"""PostgreSQL has a time 24:00:00, which is no time of Python's."""


def read_timestamp(text: str) -> Any:  # noqa: ANN401 - infinity and years that Python has not stay text
    """Read a timestamp without time zone."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return converters.timestamp_in(text)


def read_timestamptz(text: str) -> Any:  # noqa: ANN401 - as above
    """Read a timestamp with time zone."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return converters.timestamptz_in(text)


def read_date(text: str) -> Any:  # noqa: ANN401 - as above
    """Read a date."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return converters.date_in(text)


def read_time(text: str) -> time:
    """Read a time without time zone."""
    if text.startswith(LAST_HOUR):
        read: time = converters.time_in(text)
        return read
    return time.fromisoformat(text)


FASTER: dict[int, Reader] = {
    converters.BOOLEAN: "t".__eq__,
    converters.DATE: read_date,
    converters.TIME: read_time,
    converters.TIMESTAMP: read_timestamp,
    converters.TIMESTAMPTZ: read_timestamptz,
}
"""By type oid."""

READERS: dict[int, Reader] = {
    oid: str if reader is converters.string_in else FASTER.get(oid, reader)
    for oid, reader in converters.PG_TYPES.items()
}
"""What each new connection begins with; `str` returns a string as it is, without a call into Python."""


def readers() -> defaultdict[int, Reader]:
    """Return a connection's own readers: types that are not known are read as text."""
    return defaultdict(lambda: str, READERS)


RowReader = Callable[[bytes, int], list[Any]]
"""From a DataRow's bytes, and where its first field begins, to its values."""

_length = Struct("!i").unpack_from


def row_reader(column_readers: Sequence[Reader], encoding: str) -> RowReader:
    """Return what reads the rows of one result."""

    def read(data: bytes, at: int) -> list[Any]:
        row: list[Any] = []
        for column_reader in column_readers:
            (length,) = _length(data, at)
            at += 4
            if length < 0:
                row.append(None)
            else:
                end = at + length
                row.append(column_reader(data[at:end].decode(encoding)))
                at = end
        return row

    return read
