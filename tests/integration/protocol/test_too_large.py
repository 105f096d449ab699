"""What is larger than a message may be, or more than the protocol counts, is refused before it is sent."""

from contextlib import suppress

import pytest

from db.protocol import wire
from db.protocol.connection import Connection
from db.protocol.server_errors import TooLargeError
from local.postgres import PostgresServer
from tests.faults.proxy import Proxy
from tests.faults.server import wait_until
from tests.integration.protocol.conftest import count
from tests.integration.wire import connected, value


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        ("select length(%s)", ("x" * 1001,)),
        ("select length(%s), length(%s)", ("x" * 600, "x" * 600)),
        ("select 'x'" + " " * 1000, ()),
        ("select 'x', length(%s)" + " " * 1000, ("x",)),
    ],
    ids=["value", "values together", "query", "statement"],
)
def test_what_is_too_large_is_refused_before_it_is_sent(
    connection: Connection, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, statement: str, values: tuple[str, ...]
) -> None:
    """Whatever it is that does not fit; the test lowers the limit to a size that fits into memory."""
    monkeypatch.setattr("db.protocol.wire.MAX_MESSAGE_BYTES", 1000)
    assert value(connection, "select length(%s)", ("x" * 900,)) == 900
    before = proxy.traffic()
    with pytest.raises(TooLargeError):
        connection.cursor().execute(statement, values)
    with pytest.raises(TooLargeError):
        connection.cursor().executemany(statement, [values])
    assert proxy.traffic() == before
    assert value(connection, "select 1") == 1


def test_a_copy_of_what_is_too_large_leaves_a_clean_connection(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is given up, as one whose stream fails."""
    monkeypatch.setattr("db.protocol.wire.MAX_MESSAGE_BYTES", 1000)
    with pytest.raises(TooLargeError):
        connection.cursor().execute("copy t from stdin", stream=["1\n", "2\n" * 1000])
    connection.rollback()
    assert count(connection) == 0


@pytest.mark.parametrize("code", [b"B", b"P", b"Q"])
def test_the_longest_message_is_the_servers(server_itself: PostgresServer, code: bytes) -> None:
    """It waits for the rest of one of that length, and hangs up at the length of a longer one."""
    for length, waits in ((wire.MAX_MESSAGE_BYTES, True), (wire.MAX_MESSAGE_BYTES + 1, False)):
        with connected(server_itself) as connection:
            connection.transport().socket.sendall(code + length.to_bytes(4, "big"))
            with suppress(AssertionError):
                wait_until(lambda: not connection.is_alive(), 0.3 if waits else 10)
            assert connection.is_alive() == waits


def test_more_values_than_the_protocol_counts_are_refused(connection: Connection) -> None:
    """65535 is the most."""
    with pytest.raises(TooLargeError):
        connection.cursor().execute("select 1", tuple(range(65536)))
