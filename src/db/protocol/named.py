"""What the raw connection under stock SQLAlchemy has beyond DBAPI's: `run` and `prepare`, with :named parameters.

That connection is pg8000.legacy's; what it prepares on the server is parsed anew here each time, in the statement's own
flight, so that nothing stays in the session.
"""

from typing import Any

from pg8000.dbapi import InterfaceError

from db.protocol.cursor import by_name
from db.protocol.statements import Statements

Rows = tuple[list[Any], ...]


class Named(Statements):
    """A session that takes statements with :named parameters."""

    def run(self, sql: str, stream: Any = None, **params: Any) -> Rows:  # noqa: ANN401 - as wide as pg8000's
        """Run one statement, or several without parameters, and return the rows; `stream` is a COPY's data."""
        if params or stream is not None:
            statement, values = by_name(sql, params)
            context = self.run_one(statement, values, (), stream)
        else:
            context = self.run_one(sql, None)
        return tuple(context.rows or ())

    def prepare(self, operation: str) -> "Prepared":
        """Return the statement, to be run with several sets of parameters."""
        return Prepared(self, operation)


class Prepared:
    """A statement that is run with several sets of :named parameters."""

    def __init__(self, connection: Named, operation: str) -> None:
        self._connection: Named | None = connection
        self._operation = operation

    def run(self, **params: Any) -> Rows:  # noqa: ANN401 - any value
        """Run it and return the rows."""
        if self._connection is None:
            raise InterfaceError("prepared statement closed")
        return self._connection.run(self._operation, **params)

    def close(self) -> None:
        """Let it not be run any more; the server has nothing of it."""
        self._connection = None
