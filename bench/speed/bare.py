"""The least that Python can do for a query: send what was encoded before, receive the answer, read none of it.

Once alone, and once as the driver under SQLAlchemy, which any driver's user waits for.
"""

from typing import Any

from sqlalchemy import Connection, create_engine
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.base import PGExecutionContext
from sqlalchemy.dialects.postgresql.psycopg2 import PGDialect_psycopg2

from bench.flights.peers import Target, Work
from db.deadline import UNBOUNDED
from db.dialect import options_from
from db.protocol import wire
from db.protocol.connection import connect

QUERY = wire.parse("select cast($1 as int)") + wire.bind(["1"]) + wire.DESCRIBE_PORTAL + wire.EXECUTE + wire.SYNC
READY = b"Z\x00\x00\x00\x05I"
CHUNK_BYTES = 1 << 16


class Bare:
    """One connection, whose socket is used directly."""

    def __init__(self, target: Target, *, ping: bool = False) -> None:
        """Log in, in clear."""
        del ping
        options = options_from(host="127.0.0.1", port=target.port, user="postgres", password=target.password)
        self._connection = connect(options, deadline=UNBOUNDED)
        self._socket = self._connection.transport().socket
        self._socket.setblocking(True)  # noqa: FBT003 - the socket's own signature

    def query(self, _work: Work) -> None:
        """Send the query and receive until the server is ready for the next one."""
        self._socket.send(QUERY)
        while not self._socket.recv(CHUNK_BYTES).endswith(READY):
            pass

    transaction = autocommit = query

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class BareDialect(PGDialect_psycopg2):
    """psycopg2's, which is what the promise compares with; it asks and sets nothing at the first connect."""

    supports_statement_cache = True
    execution_ctx_cls = PGExecutionContext  # type: ignore[assignment] # its own logs a connection's notices

    def initialize(self, connection: Connection) -> None:
        """Ask nothing."""

    def on_connect(self) -> None:
        """Set nothing."""


registry.register("postgresql.bare", __name__, BareDialect.__name__)


class BareCursor:
    """Answers the one query with the row that it is known to have."""

    description = (("int4", 23, None, None, None, None, None),)
    rowcount = 1

    def __init__(self, bare: Bare) -> None:
        self._bare = bare
        self._rows: list[tuple[int]] = []

    def execute(self, _statement: str, _values: object) -> None:
        """Have the server answer, whatever the statement is."""
        self._bare.query(lambda _: None)
        self._rows = [(1,)]

    def fetchone(self) -> tuple[int] | None:
        """Return the row, once."""
        return self._rows.pop() if self._rows else None

    def close(self) -> None:
        """Hold nothing."""


class BareConnection:
    """A DBAPI connection without transactions."""

    def __init__(self, target: Target) -> None:
        self._bare = Bare(target)

    def cursor(self) -> BareCursor:
        """Return a new cursor."""
        return BareCursor(self._bare)

    def rollback(self) -> None:
        """Have nothing to roll back."""

    def close(self) -> None:
        """Close the connection."""
        self._bare.close()


class Floor:
    """SQLAlchemy over the bare connection: what no driver in Python can be faster than under it."""

    def __init__(self, target: Target, *, ping: bool = False) -> None:
        """Connect nothing yet."""
        options: dict[str, Any] = {"pool_size": 1, "max_overflow": 0, "pool_pre_ping": ping}
        self._engine = create_engine("postgresql+bare://", creator=lambda: BareConnection(target), **options)

    def query(self, work: Work) -> None:
        """Borrow, work, give back."""
        with self._engine.connect() as connection:
            work(connection)

    transaction = autocommit = query

    def close(self) -> None:
        """Close the connection."""
        self._engine.dispose()
