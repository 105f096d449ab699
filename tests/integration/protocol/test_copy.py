"""COPY in both directions, and what becomes of the connection where it fails; on a real server."""

import io
from collections.abc import Iterator

import pytest
from pg8000 import dbapi

from db.deadline import Deadline
from db.protocol.connection import Connection
from db.protocol.server_errors import ServerError, ServerProgrammingError, UnencodableError
from tests.integration.protocol.conftest import count
from tests.integration.wire import value


def test_copy_in_and_out(connection: Connection) -> None:
    """Both directions, as text and as bytes."""
    connection.cursor().execute("copy t from stdin", stream=io.StringIO("1\n2\n"))
    connection.cursor().execute("copy t from stdin", stream=[b"3\n", "4\n"])
    written = io.BytesIO()
    connection.cursor().execute("copy t to stdout", stream=written)
    assert written.getvalue() == b"1\n2\n3\n4\n"
    assert count(connection) == 4


def test_a_copy_whose_stream_fails_leaves_a_clean_connection(connection: Connection) -> None:
    """The server is told to give up."""

    def stream() -> Iterator[bytes]:
        yield b"1\n"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        connection.cursor().execute("copy t from stdin", stream=stream())
    connection.rollback()
    assert count(connection) == 0


@pytest.mark.parametrize("stream", [["1\n\ud83d"], io.StringIO("1\n\ud83d")], ids=["lines", "file"])
def test_a_copy_whose_text_has_no_bytes_says_so_without_the_text(connection: Connection, stream: object) -> None:
    """Half of a surrogate pair: what Python raises for it holds all of the text."""
    with pytest.raises(UnencodableError, match="the stream has a character that utf8 cannot hold") as caught:
        connection.cursor().execute("copy t from stdin", stream=stream)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)
    connection.rollback()
    assert count(connection) == 0


@pytest.mark.parametrize("data", ["1\nnot a number\n", "1\n" * 100000])
def test_a_copy_that_the_server_refuses_leaves_a_clean_connection(connection: Connection, data: str) -> None:
    """Whenever it refuses: before, during or after the data."""
    with pytest.raises(ServerError):
        connection.cursor().execute("copy t from stdin", stream=io.StringIO(data))
    connection.rollback()
    with pytest.raises(ServerProgrammingError):
        connection.cursor().execute("copy nothing from stdin", stream=io.StringIO(data))
    connection.rollback()
    assert count(connection) == 0


def test_a_copy_refused_by_a_trigger_before_the_data_leaves_a_clean_connection(connection: Connection) -> None:
    """The server asks for the data first, and fails before it reads any."""
    connection.cursor().execute(
        "create or replace function refuse() returns trigger language plpgsql as $$begin raise 'no'; end$$;"
        "create trigger refuse before insert on t for each statement execute function refuse()"
    )
    connection.commit()
    with pytest.raises(ServerError):
        connection.cursor().execute("copy t from stdin", stream=io.StringIO("1\n"))
    connection.rollback()
    assert [value(connection, "select %s::int", (n,)) for n in range(3)] == [0, 1, 2]


@pytest.mark.parametrize("statement", ["", "-- nothing", "select 1"])
def test_a_stream_for_a_statement_that_is_no_copy_is_left_alone(connection: Connection, statement: str) -> None:
    """Nobody waits for the server to ask for it."""
    connection.deadline = Deadline.after(20)
    connection.cursor().execute(statement, stream=io.StringIO("1\n"))
    assert connection.deadline.remaining_s() > 15
    assert value(connection, "select 1") == 1


def test_copy_without_a_stream_ends_the_connection(connection: Connection) -> None:
    """Nobody could send the data that the server waits for; that is the caller's own error, and no loss."""
    with pytest.raises(dbapi.InterfaceError, match="stream="):
        connection.cursor().execute("copy t from stdin")
    assert not connection.is_alive()
