"""What pg8000.legacy has, the driver of stock SQLAlchemy; and with which pg8000 that was checked."""

import io
from importlib.metadata import version

import pytest
from pg8000 import dbapi

from db.protocol.connection import CHECKED_WITH, Connection
from tests.integration.protocol.conftest import count
from tests.integration.wire import value


def test_the_installed_pg8000_is_one_that_was_checked() -> None:
    """Whoever raises the pin reads pg8000's changes first: we know its internals."""
    assert version("pg8000") in CHECKED_WITH


def test_a_cursor_returns_itself(connection: Connection) -> None:
    """So that what is asked for can be fetched in the same line; it can be used in a with statement, too."""
    with connection.cursor() as cursor:
        assert cursor.execute("select 1").fetchall() == ([1],)
        assert cursor.executemany("insert into t values (%s)", [(1,), (2,)]).rowcount == 2
        assert cursor.executemany("insert into t values (%s)", []) is cursor
        assert cursor.executemany("insert into t select 3", [()]).rowcount == 1
    with pytest.raises(dbapi.InterfaceError):
        cursor.execute("select 1")


def test_a_connection_runs_named_parameters(connection: Connection) -> None:
    """In any order and more than once; without parameters several statements; with a stream a COPY."""
    assert connection.run("select :a::int, :b::text, :a::int", b="x", a=7) == ([7, "x", 7],)
    assert connection.run("insert into t values (1); select n from t") == ([1],)
    assert connection.run("copy t from stdin", stream=io.StringIO("2\n")) == ()
    assert connection.run("delete from t where n = :statement", statement=2) == ()
    assert count(connection) == 1


def test_a_prepared_statement_runs_with_any_values(connection: Connection) -> None:
    """Until it is closed; it takes a flight each time and leaves nothing in the session."""
    prepared = connection.prepare("select :a::int + :b::int")
    assert [prepared.run(a=1, b=2), prepared.run(b=3, a=4)] == [([3],), ([7],)]
    assert value(connection, "select count(*) from pg_prepared_statements") == 0
    prepared.close()
    with pytest.raises(dbapi.InterfaceError):
        prepared.run(a=1, b=2)
