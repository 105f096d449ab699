"""Connections of stock pg8000 and of ours, to be asked the same."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from pg8000 import dbapi

from db.deadline import Deadline
from db.protocol.opening import Habits
from db.settings import Mode
from db.statements import watched
from db.statements.watched import WatchedConnection
from local.postgres import PostgresServer
from tests.integration.wire import connected, options

Outcome = tuple[str, object]
EXAMPLES = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module", params=["plain", "lent"])
def pair(postgres: PostgresServer, connection_mode: Mode, request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """A connection of each kind, each with a new schema of its own; ours as it is, and as a Database lends it."""
    with ExitStack() as stack:
        opened = connected(postgres) if request.param == "plain" else lent_connection(postgres, connection_mode)
        connections = {"stock": stock_connection(postgres), "ours": stack.enter_context(opened)}
        for name, connection in connections.items():
            connection.autocommit = True
            connection.cursor().execute(f"drop schema if exists like_{name} cascade; create schema like_{name}")
            connection.cursor().execute(f"set search_path = like_{name}")
            connection.cursor().execute("create table t (n int primary key, s text)")
        connections["server"] = postgres
        yield connections
        connections["stock"].close()


@contextmanager
def lent_connection(server: PostgresServer, mode: Mode) -> Iterator[WatchedConnection]:
    """Lend a connection with what a Database adds: a limit that the session keeps, riders, a comment."""
    limit = {"statement_timeout": "97000"} if mode is Mode.DIRECT else {}
    whose = options(server, optional=limit)
    lent = watched.connect(whose, deadline=Deadline.after(30), habits=Habits(), reserve_s=2, silence_s=30)
    with closing(lent):
        if limit:
            lent.time_limit.begin_with(97_000)
        lent.lend(Deadline.after(100), " /*route='like'*/")
        yield lent


def stock_connection(server: PostgresServer) -> dbapi.Connection:
    connection = dbapi.connect("postgres", "127.0.0.1", "postgres", server.port, server.password, ssl_context=False)
    connection.autocommit = True
    connection.cursor().execute("set search_path = like_stock")
    return connection
