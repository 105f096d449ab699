"""The borrows that are open in this environment: each timed, none inside another, none left behind.

Knows nothing of engines or errors of the server.
"""

import contextlib
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import CodeType

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from db.errors import NestedBorrowError, SlotwiseError
from db.observation import Borrow, LeakedBorrow, Slots

CONNECT_MS = "slotwise_connect_ms"
"""Key in a pooled connection's info: how long opening it took; taken out by the first borrow."""

_HERE = str(Path(__file__).parent)
_NOT_THE_BORROWER = (_HERE, contextlib.__file__)


class Trip:
    """One borrow while it goes on."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.failure: str | None = None
        self.is_over = False
        self._code, self._line = _borrower()
        self._asked = time.monotonic()
        self._had: float | None = None
        self._connect_ms: float | None = None
        self._connection: Connection | None = None

    @property
    def call_site(self) -> str:
        """The line that borrowed, as `file:line function`."""
        return f"{self._code.co_filename}:{self._line} {self._code.co_qualname}"

    def had(self, connection: Connection) -> None:
        """Note that the connection is there."""
        self._had = time.monotonic()
        self._connection = connection
        self._connect_ms = connection.info.pop(CONNECT_MS, None)

    def end(self, slots: Slots) -> Borrow:
        """Note that it is given back, and return what happened, to the fleet's `slots` too."""
        self.is_over = True
        now = time.monotonic()
        had = self._had or now
        return Borrow(
            waited_ms=(had - self._asked) * 1000,
            connect_ms=self._connect_ms,
            held_ms=(now - had) * 1000,
            failure=self.failure,
            slots=slots,
        )

    def take_back(self) -> None:
        """Roll back and return the connection to the pool; another thread may be using it, so that one is closed."""
        if self._connection is None:
            return
        with contextlib.suppress(SQLAlchemyError, SlotwiseError):
            if self.thread != threading.get_ident():
                self._connection.invalidate()
            self._connection.close()


class Borrows:
    """All trips that go on."""

    def __init__(self, pool_size: int) -> None:
        self._nests = pool_size > 1
        self._open: list[Trip] = []

    def begin(self) -> Trip:
        """Note a new trip; raise NestedBorrowError where it would wait for one of its own thread."""
        trip = Trip()
        outer = [other for other in self._open if other.thread == trip.thread]
        if outer and not self._nests:
            raise NestedBorrowError(f"{outer[-1].call_site} holds this environment's connection: end that borrow first")
        self._open.append(trip)
        return trip

    def end(self, trip: Trip, slots: Callable[[], Slots]) -> Borrow | None:
        """Return what happened on the trip; None where that was told when it was taken back."""
        if trip.is_over:
            return None
        self._open.remove(trip)
        return trip.end(slots())

    def take_back(self, slots: Callable[[], Slots]) -> list[tuple[Borrow, LeakedBorrow]]:
        """End all trips that are still open, and return what each was and who left it."""
        left, self._open = self._open, []
        for trip in left:
            trip.is_over = True  # whatever comes now, nobody ends it twice
        for trip in left:
            trip.take_back()
        ended = [(trip.end(slots()), trip.call_site) for trip in left]
        return [(borrow, LeakedBorrow(call_site=site, held_ms=borrow.held_ms)) for borrow, site in ended]


def _borrower() -> tuple[CodeType, int]:
    """Return the innermost place that is neither in this package nor in contextlib."""
    frame = sys._getframe(1)  # noqa: SLF001 - traceback and inspect read source files; this runs at each borrow
    while frame.f_back and frame.f_code.co_filename.startswith(_NOT_THE_BORROWER):
        frame = frame.f_back
    return frame.f_code, frame.f_lineno
