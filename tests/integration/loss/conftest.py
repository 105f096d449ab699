"""A connection over real sockets, through a proxy that breaks them."""

from collections.abc import Iterator

import pytest

from db.protocol.connection import Connection
from local.postgres import PostgresServer
from tests.faults.proxy import Proxy
from tests.integration.wire import connected


@pytest.fixture
def proxy(postgres: PostgresServer) -> Iterator[Proxy]:
    """A proxy of the test's own before the shared server."""
    with Proxy(postgres.port) as running:
        yield running


@pytest.fixture
def connection(postgres: PostgresServer, proxy: Proxy) -> Iterator[Connection]:
    """A connection through the proxy."""
    with connected(postgres, proxy.port, reserve_s=20) as connection:
        yield connection
