"""Rows 2, 9 and 21 at once: the server that gave a transaction its id crashes, and gives the id to somebody else.

What is asked of it then is answered for the other one. A server loses the ids whose WAL had not been flushed, so this
one flushes it late.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Thread

import pytest
from sqlalchemy import Connection, text

from db import CommitUnknownError, ConnectionLostError, Database, Deadline
from db.recovery.silence import AttentiveConnection
from local.postgres import PostgresServer
from tests.faults.proxy import Action, Fault, Proxy
from tests.faults.server import admin, crash_backend, promote, rows, run, standby_of, wait_until

OURS = text("insert into given values (1)")
THEIRS = "with written as (insert into given values (2) returning n) select pg_current_xact_id()::text from written"
COMMIT = b"commit"


@pytest.fixture(scope="module")
def late_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    directory: Path = tmp_path_factory.mktemp("late") / "data"
    settings = {"wal_writer_delay": "10s", "autovacuum": "off"}
    with PostgresServer(directory, secrets.token_urlsafe(), settings=settings) as server:
        yield server


@pytest.fixture
def server(late_server: PostgresServer) -> PostgresServer:
    """The server, with an empty table whose making has been flushed."""
    run(late_server, "drop table if exists given")
    run(late_server, "create table given (n int)")
    run(late_server, "checkpoint")
    return late_server


@pytest.fixture
def way(server: PostgresServer) -> Iterator[Proxy]:
    """A proxy in front of it."""
    with Proxy(server.port) as proxy:
        yield proxy


@pytest.fixture
def database(make_database: Callable[..., Database], server: PostgresServer, way: Proxy) -> Database:
    url = server.url(port=way.port)
    return make_database(url, silence_s=10.0)


def session_of(connection: Connection) -> AttentiveConnection:
    session = connection.connection.dbapi_connection
    assert isinstance(session, AttentiveConnection)
    return session


def id_of(connection: Connection) -> int:
    [[number]] = session_of(connection).execute_simple("select pg_current_xact_id()::text").rows
    return int(number)


def fall_silent(connection: Connection, way: Proxy) -> None:
    """Lose the way in silence; COMMIT, and nothing before it, waits no longer than half a second until it asks."""
    session_of(connection)._silence_s = 0.5
    way.end(Action.SWALLOW)


def is_given_again(server: PostgresServer, number: int) -> bool:
    """Let others write until the id's turn has come; say whether it came."""
    while (theirs := int(run(server, THEIRS)[0][0])) < number:
        pass
    return theirs == number


def crash(server: PostgresServer) -> None:
    server.restart("immediate")


def lose_a_backend(server: PostgresServer) -> None:
    crash_backend(server)
    server.wait_until_ready()


def ours(server: PostgresServer) -> int:
    [[count]] = run(server, "select count(*) from given where n = 1")
    return int(count)


CRASHES = pytest.mark.parametrize("break_down", [crash, lose_a_backend])


@CRASHES
def test_nobody_is_asked_where_the_socket_shows_the_loss(
    database: Database, server: PostgresServer, break_down: Callable[[PostgresServer], None]
) -> None:
    """Rows 2 and 21: COMMIT is not sent where the connection has ended, so that the work is safe to repeat."""
    runs = []

    def work(connection: Connection) -> None:
        connection.execute(OURS)
        runs.append(1)
        if len(runs) == 1:
            number = id_of(connection)
            break_down(server)
            assert is_given_again(server, number)

    database.run_transaction(work)
    assert (len(runs), ours(server)) == (2, 1)


@CRASHES
def test_another_ones_commit_is_not_taken_for_ours(
    database: Database, server: PostgresServer, way: Proxy, break_down: Callable[[PostgresServer], None]
) -> None:
    """Rows 2 and 21: the loss cannot be seen, COMMIT is sent into the void, and the id is somebody else's by then."""
    with pytest.raises(CommitUnknownError) as caught, database.transaction() as connection:
        connection.execute(OURS)
        number = id_of(connection)
        fall_silent(connection, way)
        break_down(server)
        assert is_given_again(server, number)
    assert caught.value.xid == number
    assert ours(server) == 0


def test_who_has_the_id_now_is_left_alone(database: Database, server: PostgresServer, way: Proxy) -> None:
    """Rows 2 and 21: a transaction that is open under our id on the recovered server is not ended for ours."""
    with ExitStack() as stack:
        with pytest.raises(CommitUnknownError), database.invocation(60_000), database.transaction() as connection:
            connection.execute(OURS)
            number = id_of(connection)
            fall_silent(connection, way)
            crash(server)
            other = stack.enter_context(admin(server))
            stack.enter_context(other.transaction())
            assert int(rows(other, THEIRS)[0][0]) == number
            database._invocation = session_of(connection).deadline = Deadline.after(3)
        assert rows(other, "select 1") == [(1,)]


@CRASHES
def test_an_id_that_nobody_has_is_known_to_be_undone(
    database: Database, server: PostgresServer, way: Proxy, break_down: Callable[[PostgresServer], None]
) -> None:
    """Rows 2 and 21: the recovered server has never given it, or says that it was aborted: the work is repeated."""
    runs = []

    def work(connection: Connection) -> None:
        connection.execute(OURS)
        runs.append(1)
        if len(runs) == 1:
            fall_silent(connection, way)
            break_down(server)

    database.run_transaction(work)
    assert (len(runs), ours(server)) == (2, 1)


@pytest.mark.parametrize("sees_the_loss", [True, False])
def test_a_promoted_standby_is_not_believed(
    database: Database, server: PostgresServer, way: Proxy, tmp_path: Path, *, sees_the_loss: bool
) -> None:
    """Rows 9 and 21: it had not heard of our transaction, and has given its id to another."""
    standby = standby_of(server, tmp_path / "standby")
    standby.start()
    standby.stop()
    expected = ConnectionLostError if sees_the_loss else CommitUnknownError
    try:
        with pytest.raises(expected), database.transaction() as connection:
            connection.execute(OURS)
            number = id_of(connection)
            if not sees_the_loss:
                fall_silent(connection, way)
            server.stop("immediate")
            standby.start()
            promote(standby)
            wait_until(lambda: run(standby, "select pg_is_in_recovery()") == [(False,)])
            way.upstream_port = standby.port
            assert is_given_again(standby, number)
        assert ours(standby) == 0
    finally:
        standby.stop("immediate")
        server.start()


def test_a_restart_does_not_leave_a_commit_in_doubt(database: Database, server: PostgresServer, way: Proxy) -> None:
    """Rows 1 and 21: a server that is stopped in order forgets nothing, and is believed."""

    def restart_behind_commit() -> None:
        wait_until(way.strikes)
        server.restart("fast")

    restart = Thread(target=restart_behind_commit)
    with database.transaction() as connection:
        connection.execute(OURS)
        session_of(connection)._silence_s = 0.5
        way.inject(Fault(Action.SWALLOW, once_sent=COMMIT))
        restart.start()
    restart.join()
    assert ours(server) == 1
