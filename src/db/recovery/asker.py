"""Asks from a session of its own, which is opened when it is needed and closed at the end."""

from collections.abc import Callable
from typing import Self

from db.deadline import Deadline
from db.protocol.connection import Connection
from db.protocol.server_errors import ClosedError
from db.recovery.outcome import Rows


class Asker:
    """Has one session at a time, and lets it answer by `until`."""

    def __init__(self, reopen: Callable[[], Connection] | None, until: Deadline) -> None:
        self._reopen = reopen
        self._until = until
        self._session: Connection | None = None

    def __enter__(self) -> Self:
        """Open nothing yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close what was opened."""
        if self._session:
            self._session.close()

    def ask(self, question: str) -> Rows:
        """Return the answer's rows; raise UnavailableError where there is no session to be had."""
        if self._session is None or not self._session.is_alive():
            if self._reopen is None:
                raise ClosedError("there is no way to open another connection")
            self._session = self._reopen()
            self._session.deadline = self._until
        rows: Rows = self._session.execute_simple(question).rows
        return rows
