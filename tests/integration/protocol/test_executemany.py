"""executemany: few flights, little memory, all or nothing; on a real server."""

import socket
import tracemalloc

import pytest

from db.deadline import Deadline
from db.protocol.connection import Connection
from db.protocol.server_errors import ServerIntegrityError
from db.protocol.transport import Transport
from local.postgres import PostgresServer
from tests.integration.protocol.conftest import count
from tests.integration.wire import connected


def test_executemany_counts_all_rows(connection: Connection) -> None:
    """One flight, one row count."""
    cursor = connection.cursor()
    cursor.executemany("insert into t values (%s)", [(n,) for n in range(500)])
    assert cursor.rowcount == 500
    assert count(connection) == 500


@pytest.mark.parametrize("rows_sent", [10, 20000], ids=["one flight", "several"])
def test_executemany_with_autocommit_is_all_or_nothing(connection: Connection, rows_sent: int) -> None:
    """However many flights it takes; and autocommit is on again afterwards."""
    connection.autocommit = True
    values = [(n,) for n in range(rows_sent)]
    with pytest.raises(ServerIntegrityError):
        connection.cursor().executemany("insert into t values (%s)", [*values, (0,)])
    assert count(connection) == 0
    connection.cursor().executemany("insert into t values (%s)", values)
    assert count(connection) == rows_sent
    assert connection.autocommit


def test_executemany_takes_few_flights_whatever_the_number(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty thousand rows do not take twenty thousand flights, nor memory for all of them at once."""
    sent: list[None] = []
    flush = Transport.flush
    monkeypatch.setattr(Transport, "flush", lambda transport: sent.append(flush(transport)))
    connection.cursor().executemany("insert into t values (%s)", ((n,) for n in range(20000)))
    assert len(sent) == 3
    assert count(connection) == 20000


def test_executemany_that_returns_more_than_the_buffers_hold_does_not_block(server_itself: PostgresServer) -> None:
    """While we write, we read: the server never waits for us with a full buffer, while we wait for it with another."""
    with connected(server_itself) as connection:  # no proxy, which would buffer
        connection.transport().socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        connection.deadline = Deadline.after(20)
        cursor = connection.cursor()
        cursor.executemany("select repeat(%s, 80)", [("x" * 2000,)] * 130)
        assert cursor.fetchall()[-1][0] == "x" * 160000


def test_executemany_holds_no_more_than_a_flight_in_memory(connection: Connection) -> None:
    """However many sets there are, and whatever they return: what has been sent and read is gone."""
    cursor = connection.cursor()
    tracemalloc.start()
    try:
        cursor.executemany("select %s::text", (("x" * 10_000,) for _ in range(2_000)))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert cursor.fetchall() == (["x" * 10_000],)
    assert peak_bytes < 3_000_000  # of twenty million in each direction


def test_executemany_without_values_or_sets(connection: Connection) -> None:
    """The edges that pg8000 takes."""
    cursor = connection.cursor()
    cursor.executemany("insert into t values (%s)", [])
    assert cursor.rowcount == -1
    cursor.executemany("insert into t select coalesce(max(n), 0) + 1 from t", [(), ()])
    assert count(connection) == 2
