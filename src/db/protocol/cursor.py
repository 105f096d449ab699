"""pg8000's cursor over our connection: statements are converted once, and many parameter sets travel together."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Self

from pg8000 import dbapi

from db.protocol.replies import Context

SIMPLE_TEXT = frozenset("'\"$-\\")
"""Where none of these is in a statement, every %s in it is a placeholder."""


class Cursor(dbapi.Cursor):
    """Runs statements on the connection that made it.

    Returns itself where pg8000.legacy's cursor does, which is the one that stock SQLAlchemy has.
    """

    _input_oids: Sequence[int]

    def __enter__(self) -> Self:
        """Lend itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def execute(self, operation: str, args: Any = (), stream: Any = None) -> Self:  # noqa: ANN401 - as wide as pg8000's
        """Run one statement, or several without parameters; `stream` is a COPY's data, to read or to write."""
        connection = self._connection()
        if len(args) == 0 and stream is None:
            context = connection.run_one(operation, None)
        else:
            statement, values = positional(operation, args)
            context = connection.run_one(statement, values, self._input_oids, stream)
        self._show(context)
        self._input_oids = ()
        return self

    def executemany(self, operation: str, param_sets: Iterable[Any]) -> Self:
        """Run the statement once for each parameter set: in one flight, or a few where they are large.

        All or nothing, with autocommit too. The rows are those of the last set, the row count is that of all.
        """
        connection = self._connection()
        sets = iter(param_sets)
        first = next(sets, None)
        if not first:
            super().executemany(operation, () if first is None else chain([first], sets))
            return self
        statement = positional(operation, first)[0]
        values = (positional(operation, args)[1] for args in chain([first], sets))
        self._show(connection.run_many(statement, values, self._input_oids))
        self._input_oids = ()
        return self

    def callproc(self, procname: str, parameters: Sequence[Any] | None = None) -> None:
        """Call a procedure outside a transaction that this driver would begin: it may commit by itself."""
        values = [] if parameters is None else parameters
        placeholders = ", ".join(f"${number}" for number in range(1, len(values) + 1))
        self._show(self._connection().execute_unnamed(f"CALL {procname}({placeholders})", vals=values))

    def fetchall(self) -> tuple[Any, ...]:
        """Return the rows that are left."""
        if self._row_iter is None:
            rows: tuple[Any, ...] = super().fetchall()
            return rows
        return tuple(self._row_iter)

    def _connection(self) -> Any:  # noqa: ANN401 - db.protocol.connection's, which imports this module
        if self._c is None:
            raise dbapi.InterfaceError("Cursor closed")
        return self._c

    def _show(self, context: Context) -> None:
        self._context = context
        self._row_iter = None if context.rows is None else iter(context.rows)


def positional(operation: str, args: Any) -> tuple[str, Sequence[Any]]:  # noqa: ANN401 - a sequence or a mapping
    """Return the statement with PostgreSQL's $1 for DBAPI's placeholders, and the values in their order."""
    if dbapi.paramstyle == "format":
        return _numbered(operation), args
    statement, values = dbapi.convert_paramstyle(dbapi.paramstyle, operation, args)
    return statement, values


def by_name(operation: str, params: Mapping[str, Any]) -> tuple[str, Sequence[Any]]:
    """Return the statement with PostgreSQL's $1 for each :name, and the values in their order."""
    statement, values = dbapi.convert_paramstyle("named", operation, params)
    return statement, values


@lru_cache(maxsize=512)
def _numbered(operation: str) -> str:
    """Give each %s its number; the scanner that walks each character is asked once a statement."""
    if not SIMPLE_TEXT.isdisjoint(operation) or operation.count("%") != operation.count("%s"):
        return str(dbapi.convert_paramstyle("format", operation, ())[0])
    first, *rest = operation.split("%s")
    return first + "".join(f"${number}{part}" for number, part in enumerate(rest, start=1))
