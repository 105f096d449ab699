"""Connections of our protocol on a real server, through a proxy that counts, with a table to work on."""

from collections.abc import Iterator

import pytest

from db.protocol.connection import Connection
from local.postgres import PostgresServer
from tests.faults.proxy import Proxy
from tests.integration.wire import connected, value


@pytest.fixture(scope="module")
def proxy(postgres: PostgresServer) -> Iterator[Proxy]:
    """A counting proxy before the shared server."""
    with Proxy(postgres.port) as running:
        yield running


@pytest.fixture
def connection(postgres: PostgresServer, proxy: Proxy) -> Iterator[Connection]:
    """A connection through the proxy, with a table `t (n int primary key)` of its own."""
    with connected(postgres, autocommit=True) as owner:
        owner.cursor().execute("drop table if exists t; create table t (n int primary key)")
        with connected(postgres, proxy.port) as connection:
            yield connection
        owner.cursor().execute("drop table t; drop function if exists refuse")


def count(connection: Connection) -> int:
    """Return how many rows the table has."""
    return int(value(connection, "select count(*) from t"))
