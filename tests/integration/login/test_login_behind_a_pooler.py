"""Logging in to PgBouncer, and what holds behind it."""

from pathlib import Path
from typing import Any

import pytest

from db.deadline import Deadline
from db.protocol.connection import Connection
from db.protocol.opening import Habits
from db.protocol.server_errors import ServerOperationalError, sqlstate_of
from local.pgbouncer import PgBouncer
from local.postgres import PostgresServer
from tests.integration.wire import connected, value


def test_statements_and_limits_hold_behind_a_transaction_pooler(server: PostgresServer, tmp_path: Path) -> None:
    """One Sync a flight: what belongs together lands on one server connection; no limit stays behind on it."""
    with PgBouncer(server, tmp_path, pool_size=2) as pooler:
        port, habits = pooler.port, Habits()
        options: dict[str, Any] = {
            "deadline": Deadline.after(30),
            "habits": habits,
            "optional": {"idle_session_timeout": "9s"},
        }
        with connected(server, port, **options) as one, connected(server, port, **options) as other:
            assert str(one._address) in habits.refuse_parameters
            for connection in (one, other):
                connection.autocommit = True
                connection.deadline = Deadline.after(20)
            _interleave(one, other)
            one.deadline = Deadline.after(1.5)
            with pytest.raises(ServerOperationalError) as caught:
                one.cursor().execute("select pg_sleep(%s)", (30,))
            assert sqlstate_of(caught.value) == "57014"
            for connection in (one, other):
                connection.deadline = Deadline.after(10_000_000)
                assert value(connection, "show statement_timeout") == "0"


def _interleave(one: Connection, other: Connection) -> None:
    """Use more clients than statements may hold a server for."""
    for number in range(20):
        assert value(one, "select %s::int", (number,)) == number
        assert value(other, "select 'x' || %s::text", (number,)) == f"x{number}"
        one.autocommit = False
        assert value(one, "select %s::int", (number,)) == number
        assert value(one, "show statement_timeout") != "0"
        one.commit()
        one.autocommit = True
