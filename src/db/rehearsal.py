"""Compiles statements before there is a connection: their first execution finds them in the engine's cache.

A function that executes a statement is rehearsed on what is a connection so far as that; nothing is sent.
https://docs.sqlalchemy.org/en/21/core/connections.html#sql-compilation-caching
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn, cast

from sqlalchemy import Connection, Engine
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.compiler import WARN_LINTING

Work = Callable[[Connection], object]
Row = Mapping[str, Any]


class _CompiledError(Exception):
    """As far as a rehearsal goes."""


class _Rehearsal:
    """Stands in for a connection."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def execute(self, statement: Executable, parameters: Row | Sequence[Row] = ()) -> NoReturn:
        """Compile as `Connection.execute` does, into the same cache, under the same key."""
        rows = [parameters] if isinstance(parameters, Mapping) else parameters
        dialect = self._engine.dialect
        statement._compile_w_cache(  # noqa: SLF001 - there is no public way; a test counts what the first execution compiles
            dialect,
            compiled_cache=self._engine._compiled_cache,  # noqa: SLF001 - as above
            column_keys=sorted(rows[0]) if rows else [],
            for_executemany=len(rows) > 1,
            linting=dialect.compiler_linting | WARN_LINTING,
        )
        raise _CompiledError

    scalar = execute


def rehearse(engine: Engine, work: Work) -> None:
    """Compile the first statement that `work` executes."""
    with suppress(_CompiledError):
        work(cast("Connection", _Rehearsal(engine)))
