"""Lets a statement travel behind the caller's own, at no flight and in a transaction of its own: it may fail alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from sqlalchemy import Connection

from db.protocol.connection import Connection as DriverConnection
from db.protocol.riders import Rider


@contextmanager
def riding(connection: Connection, rider: Rider) -> Iterator[None]:
    """Within the block `rider` goes with each flight that ends a transaction."""
    session = cast("DriverConnection", connection.connection.dbapi_connection)
    before, session.behind_commit = session.behind_commit, lambda: rider
    try:
        yield
    finally:
        session.behind_commit = before
