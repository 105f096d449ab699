"""The connection itself: statements, transactions, errors, riders, COPY; on a real server."""

import io
import socket
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from importlib.metadata import version

import pytest
from pg8000 import dbapi

from db.deadline import Deadline
from db.protocol import wire
from db.protocol.connection import CHECKED_WITH, Connection, Rider
from db.protocol.server_errors import (
    InFailedTransactionError,
    ServerDataError,
    ServerError,
    ServerIntegrityError,
    ServerOperationalError,
    ServerProgrammingError,
    TooLargeError,
    sqlstate_of,
)
from local.postgres import PostgresServer
from tests.faults.proxy import Proxy
from tests.faults.server import wait_until
from tests.integration.wire import connected, rows, value


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
        owner.cursor().execute("drop table t")


def count(connection: Connection) -> int:
    """Return how many rows the table has."""
    return int(value(connection, "select count(*) from t"))


def test_the_installed_pg8000_is_one_that_was_checked() -> None:
    """Whoever raises the pin reads pg8000's changes first: we know its internals."""
    assert version("pg8000") in CHECKED_WITH


# --- transactions ---


def test_a_begin_that_fails_keeps_the_statement_from_running(connection: Connection) -> None:
    """Nothing runs outside the transaction that it was meant for."""
    connection.modes.isolation_level = "no such level"
    for values in (None, ()):
        with pytest.raises(ServerProgrammingError):
            connection.run_one("insert into t values (7)", values)
        assert not connection._in_transaction
    connection.modes.isolation_level = None
    assert count(connection) == 0


def test_the_isolation_level_is_said_in_begin(connection: Connection) -> None:
    """Also read only and deferrable."""
    connection.modes.isolation_level, connection.modes.read_only = "SERIALIZABLE", True
    connection.modes.deferrable = True
    shown = [value(connection, f"show transaction_{name}") for name in ("isolation", "read_only", "deferrable")]
    assert shown == ["serializable", "on", "on"]


def test_read_only_holds_with_autocommit_too(connection: Connection) -> None:
    """A connection that was made read only writes nothing, whatever the mode."""
    connection.autocommit = True
    connection.modes.read_only = True
    with pytest.raises(ServerOperationalError) as caught:
        connection.cursor().execute("create table public.never (n int)")
    assert sqlstate_of(caught.value) == "25006"


def test_commit_of_a_failed_transaction_is_an_error(connection: Connection) -> None:
    """The server answers it with ROLLBACK: nobody may take that for success."""
    connection.cursor().execute("insert into t values (1)")
    with pytest.raises(ServerIntegrityError):
        connection.cursor().execute("insert into t values (1)")
    with pytest.raises(InFailedTransactionError):
        connection.commit()
    assert count(connection) == 0


def test_several_statements_without_values_run_as_one(connection: Connection) -> None:
    """As with pg8000: the simple protocol takes them all, in the transaction that begins with them."""
    cursor = connection.cursor()
    cursor.execute("insert into t values (1); insert into t values (2); select n from t order by n")
    assert list(cursor.fetchall()) == [[1], [2]]
    connection.rollback()
    assert count(connection) == 0


def test_several_statements_run_in_a_transaction_that_was_begun_as_text(connection: Connection) -> None:
    """With autocommit too, and whatever limit travels in front of them."""
    connection.autocommit = True
    connection.cursor().execute("begin")
    for seconds in (30, 20):
        connection.deadline = Deadline.after(seconds)
        connection.cursor().execute("insert into t select count(*) from t; insert into t select count(*) from t")
    assert count(connection) == 4
    assert value(connection, "show statement_timeout") != "0"
    connection.cursor().execute("rollback")
    assert count(connection) == 0


@pytest.mark.parametrize("statement", ["vacuum", "create database born_with_autocommit", "discard all"])
def test_a_statement_that_must_be_alone_runs_with_autocommit_and_deadline(
    connection: Connection, statement: str
) -> None:
    """What goes in front is left out where the server refuses the statement for it."""
    connection.autocommit = True
    connection.deadline = Deadline.after(30)
    connection.cursor().execute(statement)
    if "database" in statement:
        connection.cursor().execute("drop database born_with_autocommit")


def test_a_procedure_that_commits_is_not_run_twice(connection: Connection) -> None:
    """A refusal from inside it looks the same, but what ran before was committed."""
    connection.autocommit = True
    connection.deadline = Deadline.after(30)
    connection.cursor().execute(
        "create procedure pg_temp.twice() language plpgsql as "
        "$$begin insert into t values (1); commit; insert into t values (2); commit; execute 'vacuum'; end$$"
    )
    with pytest.raises(ServerOperationalError) as caught:
        connection.cursor().execute("call pg_temp.twice()")
    assert sqlstate_of(caught.value) == "25001"
    assert count(connection) == 2


def test_a_procedure_that_commits_is_cancelled_at_the_deadline(connection: Connection) -> None:
    """It runs alone, without a limit on the server: the second socket stops it."""
    connection.autocommit = True
    for statement in ("call pg_temp.slow()", "/* why */ do $$begin commit; perform pg_sleep(30); end$$"):
        connection.deadline = Deadline.after(30)
        connection.cursor().execute(
            "create or replace procedure pg_temp.slow() language plpgsql as "
            "$$begin insert into t select count(*) from t; commit; perform pg_sleep(30); end$$"
        )
        connection.deadline = Deadline.after(1)
        connection._reserve_s = 20
        with pytest.raises(ServerOperationalError) as caught:
            connection.cursor().execute(statement)
        assert sqlstate_of(caught.value) == "57014"
    connection.deadline = Deadline.after(30)
    assert count(connection) == 1


def test_two_phase_commit_works_as_in_pg8000(connection: Connection) -> None:
    """Without prepared transactions on the server, prepare says so; a single phase commits."""
    connection.tpc_begin(connection.xid(0, "gid", ""))
    connection.cursor().execute("insert into t values (1)")
    connection.tpc_commit()
    assert count(connection) == 1


# --- values and errors ---


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
    """Not even BEGIN."""
    with pytest.raises(UnicodeEncodeError):
        connection.cursor().execute("select %s::text", ("\ud800",))
    assert not connection._in_transaction
    assert value(connection, "select 1") == 1


def test_nul_is_refused_as_value_and_as_statement(connection: Connection) -> None:
    """It would end the string early: in a value the server refuses it, in a statement we do."""
    with pytest.raises(ServerDataError):
        connection.cursor().execute("select %s::text", ("a\0b",))
    connection.rollback()
    with pytest.raises(TooLargeError):
        connection.cursor().execute("select 1 \0; drop table t")
    assert value(connection, "select 1") == 1


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


# --- what pg8000.legacy has, the driver of stock SQLAlchemy ---


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


# --- executemany ---


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


def test_executemany_takes_few_flights_whatever_the_number(connection: Connection, proxy: Proxy) -> None:
    """Twenty thousand rows do not take twenty thousand flights, nor memory for all of them at once."""
    before = proxy.traffic()
    connection.cursor().executemany("insert into t values (%s)", ((n,) for n in range(20000)))
    assert (proxy.traffic() - before).flights <= 5
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


# --- COPY, notices, notifications ---


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
        "create function pg_temp.no() returns trigger language plpgsql as $$begin raise 'no'; end$$;"
        "create trigger no before insert on t for each statement execute function pg_temp.no()"
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


def test_notices_and_notifications_arrive(server_itself: PostgresServer) -> None:
    """Also while nothing is asked, and in any language."""
    with connected(server_itself, autocommit=True) as connection:
        connection.cursor().execute("listen news; do $$begin raise notice 'note'; end$$")
        assert any(notice[b"M"] == b"note" for notice in connection.notices)
        with connected(server_itself, autocommit=True) as other:
            value(other, "select pg_notify('news', %s)", ("größer",))
        give_up = Deadline.after(10)
        while not connection.notifications and give_up.remaining_s():
            assert connection.is_alive()
            time.sleep(0.01)
        assert [notification[1:] for notification in connection.notifications] == [("news", "größer")]


# --- riders ---


def test_a_rider_travels_with_the_statement(connection: Connection, proxy: Proxy) -> None:
    """Its row is delivered, and no flight is added, with values and without."""
    delivered: list[object] = []
    connection.behind_statement = lambda: Rider("select pg_current_xact_id_if_assigned()::text", delivered.append)
    before = proxy.traffic()
    connection.cursor().execute("insert into t values (1)")
    connection.cursor().execute("insert into t values (%s)", (2,))
    assert (proxy.traffic() - before).flights == 2
    assert len(delivered) == 2
    assert delivered[0] == delivered[1] != [None]


def test_no_rider_joins_a_failed_transaction_or_a_statement_outside(connection: Connection) -> None:
    """It would fail, or be alone."""
    asked: list[str] = []

    def rider() -> None:
        asked.append("asked")

    connection.behind_statement = rider
    with pytest.raises(ServerDataError):
        connection.cursor().execute("select 1/0")
    asked.clear()
    connection.cursor().execute("rollback")
    connection.autocommit = True
    connection.cursor().execute("select 1")
    assert asked == []


def test_a_rider_behind_commit_costs_nothing_and_may_fail(connection: Connection, proxy: Proxy) -> None:
    """COMMIT has been answered: nothing behind it is the caller's business."""
    delivered: list[object] = []
    for number, statement in enumerate(["select 1/0", "select 42"]):
        connection.behind_commit = partial(Rider, statement, delivered.append)
        connection.cursor().execute("insert into t values (%s)", (number,))
        before = proxy.traffic()
        connection.commit()
        assert (proxy.traffic() - before).flights == 1
    assert delivered == [[42]]
    assert count(connection) == 2
