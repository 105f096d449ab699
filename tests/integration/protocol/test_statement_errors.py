"""What fails has its class and SQLSTATE, shows no value, and leaves a connection that serves on."""

import pytest

from db.protocol.connection import Connection
from db.protocol.server_errors import (
    ServerDataError,
    ServerError,
    ServerIntegrityError,
    ServerOperationalError,
    ServerProgrammingError,
    TooLargeError,
    UnencodableError,
    sqlstate_of,
)
from tests.integration.wire import rows, value


@pytest.mark.parametrize(
    ("statement", "kind", "sqlstate"),
    [
        ("select 1/0", ServerDataError, "22012"),
        ("select no_such_column", ServerProgrammingError, "42703"),
        ("insert into t values (null)", ServerIntegrityError, "23502"),
        ("select pg_terminate_backend(-1, -1)", ServerDataError, "22003"),
        ("do $$begin raise sqlstate '40001'; end$$", ServerOperationalError, "40001"),
    ],
)
@pytest.mark.parametrize("values", [None, ()], ids=["simple", "extended"])
def test_an_error_has_its_class_and_sqlstate(
    connection: Connection, statement: str, kind: type[ServerError], sqlstate: str, values: tuple[str, ...] | None
) -> None:
    """And the connection serves on after a rollback."""
    with pytest.raises(kind) as caught:
        connection.run_one(statement, values)
    assert sqlstate_of(caught.value) == sqlstate
    assert caught.value.args[0]["C"] == sqlstate
    connection.rollback()
    assert value(connection, "select 1") == 1


def test_an_errors_text_leaves_out_the_detail(connection: Connection) -> None:
    """DETAIL echoes values; who wants it finds it in the fields."""
    connection.cursor().execute("insert into t values (4711)")
    with pytest.raises(ServerIntegrityError) as caught:
        connection.cursor().execute("insert into t values (4711)")
    assert "4711" not in str(caught.value)
    assert "4711" in caught.value.fields["D"]


def test_a_value_that_cannot_be_read_does_not_disturb_the_next_statement(connection: Connection) -> None:
    """The reply is read to its end all the same."""

    def refuse(text: str) -> None:
        raise ArithmeticError(text)

    connection.register_in_adapter(23, refuse)
    with pytest.raises(ArithmeticError):
        rows(connection, "select n from generate_series(1, 1000) n")
    assert value(connection, "select 'next'") == "next"


def test_a_value_that_cannot_be_sent_sends_nothing(connection: Connection) -> None:
    """Not even BEGIN; the error has the SQLSTATE of a value with NUL, and nothing that shows the value led to it."""
    for statement, values in (("select %s::text", ("a\ud800",)), ("select 'a\ud800'", ()), ("select 'a\ud800'", None)):
        with pytest.raises(UnencodableError, match="half of a surrogate pair: refuse it") as caught:
            connection.run_one(statement, values)
        assert (caught.value.__cause__, caught.value.__context__) == (None, None)
        assert sqlstate_of(caught.value) == "22021"
        assert not connection._in_transaction
    assert value(connection, "select 1") == 1


def test_what_the_sessions_encoding_cannot_hold_is_refused_by_its_name(connection: Connection) -> None:
    """Another encoding than UTF-8 lacks more than half of a surrogate pair."""
    connection.execute_simple("set client_encoding to latin1")
    with pytest.raises(UnencodableError, match="a value has a character that iso8859-1 cannot hold"):
        connection.cursor().execute("select %s::text", ("\u20ac",))
    connection.rollback()
    connection.execute_simple("reset client_encoding")


def test_nul_is_refused_as_value_and_as_statement(connection: Connection) -> None:
    """It would end the string early: in a value the server refuses it, in a statement we do."""
    with pytest.raises(ServerDataError) as caught:
        connection.cursor().execute("select %s::text", ("a\0b",))
    assert caught.value.sqlstate == UnencodableError.sqlstate
    connection.rollback()
    with pytest.raises(TooLargeError):
        connection.cursor().execute("select 1 \0; drop table t")
    assert value(connection, "select 1") == 1
