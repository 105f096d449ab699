"""How late each fault of the table is noticed, as a share of the bound that the configuration sets for it.

A test asks for `noticed` and reports; the worst of each row is told at the end of the run, with the rows that are
missing. Time counts from the moment that the fault strikes, or from the borrow where it strikes while nobody looks.

Some of these waits end at their bound by design, so that a machine that stalls for a fifth of a second makes them late.
A test that was late, and failed for no other reason, is therefore run again: what we are late with is late each time.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

ROWS = range(1, 29)
"""The table of faults that the project promises to survive."""
TOLERANCE = 1.1
"""How much later than its bound a fault may be noticed. Bounds are two seconds or so: a busy machine adds little."""
RUN_AGAIN = 2
"""How often a late test is run again before it has failed."""
LAST = "test_every_row.py"
"""The file that asks whether all rows were reported; it is run when the others have been."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One fault, noticed."""

    took_s: float
    bound_s: float

    @property
    def ratio(self) -> float:
        """Return the share of the bound."""
        return self.took_s / self.bound_s


class NoticedTooLateError(AssertionError):
    """A fault was noticed after its bound."""


class Noticed:
    """The worst of each row that came in time, and all that were late."""

    def __init__(self) -> None:
        self.worst: dict[int, Notice] = {}
        self.late: list[str] = []

    def __call__(self, row: int, took_s: float, bound_s: float) -> None:
        """Report that the fault of `row` was noticed after `took_s` seconds, where `bound_s` are allowed."""
        notice = Notice(took_s, bound_s)
        if notice.ratio > TOLERANCE:
            self.late.append(f"row {row}: noticed after {took_s:.3f} s, bound {bound_s} s")
            raise NoticedTooLateError(self.late[-1])
        self.worst[row] = max(notice, self.worst.get(row, notice), key=lambda seen: seen.ratio)

    @contextmanager
    def within(self, bound_s: float, *rows: int) -> Iterator[None]:
        """Report what is done inside, from the fault to the answer."""
        began = time.monotonic()
        yield
        for row in rows:
            self(row, time.monotonic() - began, bound_s)

    @property
    def missing(self) -> list[int]:
        """Return the rows that nobody has reported."""
        return [row for row in ROWS if row not in self.worst]


NOTICED = pytest.StashKey[Noticed]()


def pytest_configure(config: pytest.Config) -> None:
    """Begin a table."""
    config.stash[NOTICED] = Noticed()


@pytest.fixture
def noticed(request: pytest.FixtureRequest) -> Noticed:
    """What a test reports to."""
    return request.config.stash[NOTICED]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run again what is late, and ask for the whole table when it is written."""
    for item in items:
        if "noticed" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.flaky(reruns=RUN_AGAIN, only_rerun=NoticedTooLateError.__name__))
    items.sort(key=lambda item: item.path.name == LAST)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say for each row how late its fault was noticed at worst, and which rows were not looked at."""
    found = config.stash[NOTICED]
    if not found.worst and not found.late:
        return
    terminalreporter.section("worst time to notice a fault, as a share of its bound")
    for row, notice in sorted(found.worst.items()):
        terminalreporter.line(f"row {row:2}: {notice.ratio:5.2f}  ({notice.took_s:.3f} s of {notice.bound_s:g} s)")
    for late in found.late:
        terminalreporter.line(f"late, and run again: {late}")
    missing = f"; not looked at: {', '.join(map(str, found.missing))}" if found.missing else ""
    terminalreporter.line(f"{len(found.worst)} of {len(ROWS)}{missing}")
