"""Rows 9 and 10: a server that takes no writes is left, and the one that does is found."""

from collections.abc import Callable
from pathlib import Path
from threading import Timer

import pytest
from sqlalchemy import Connection, text

from db import Database, ReadOnlyError
from db.settings import TargetSession
from db.statements.watched import WatchedConnection
from local.postgres import PostgresServer
from tests.faults.asking import ask
from tests.faults.clock import Resolver
from tests.faults.proxy import Proxy
from tests.faults.server import ORDINARY, make_read_only, ordinary_url, promote, run, standby_of, wait_until
from tests.noticing import Noticed

CONNECT_S = 2.0


def test_a_server_that_takes_no_writes_is_left(
    make_database: Callable[..., Database], fault_server: PostgresServer, pool_size: int
) -> None:
    """Row 9: 25006 discards the connection; the work is repeated until the server takes writes again.

    For as long as there is time: a failover takes longer than DB_MAX_ATTEMPTS attempts do.
    """
    run(fault_server, "create table if not exists written (n int)")
    run(fault_server, "truncate written")
    database = make_database(fault_server.url(), pool_size=pool_size)
    ask(database)
    make_read_only(fault_server)
    with pytest.raises(ReadOnlyError), database.transaction() as connection:
        connection.execute(text("insert into written values (1)"))
    restorer = Timer(2, lambda: make_read_only(fault_server, read_only=False))
    restorer.start()

    def work(connection: Connection) -> None:
        connection.execute(text("insert into written values (1)"))

    database.run_transaction(work)
    restorer.join()
    assert run(fault_server, "select count(*) from written") == [(1,)]


def test_a_transaction_that_is_begun_again_goes_on(
    make_database: Callable[..., Database], fault_server: PostgresServer, pool_size: int
) -> None:
    """Row 9: its first statement met a session that takes no writes, and was sent again; the next one is as good."""
    database = make_database(ordinary_url(fault_server), pool_size=pool_size)
    run(fault_server, f"create table if not exists twice (n int); truncate twice; grant all on twice to {ORDINARY}")
    run(fault_server, f"alter role {ORDINARY} set default_transaction_read_only = on")
    with database.transaction() as connection:
        connection.connection.rollback()  # there is a session by now
        run(fault_server, f"alter role {ORDINARY} reset default_transaction_read_only")
        connection.execute(text("insert into twice values (1)"))
        connection.execute(text("insert into twice values (2)"))
    assert run(fault_server, "select count(*) from twice") == [(2,)]


def test_a_promoted_standby_is_found_by_name(
    make_database: Callable[..., Database],
    fault_server: PostgresServer,
    tmp_path: Path,
    pool_size: int,
    noticed: Noticed,
) -> None:
    """Rows 9 and 10: the writer goes, its name moves to the standby; the next work goes there without an error."""
    run(fault_server, "create table if not exists moved (n int)")
    with standby_of(fault_server, tmp_path / "standby") as standby:
        lsn = run(fault_server, "select pg_current_wal_lsn()::text")[0][0]
        wait_until(
            lambda: run(standby, "select pg_last_wal_replay_lsn() >= %(lsn)s::text::pg_lsn", lsn=lsn) == [(True,)]
        )
        resolver = Resolver(localhost=("127.0.0.1", fault_server.port))
        with resolver.installed():
            database = make_database(fault_server.url(), pool_size=pool_size, host="localhost", max_attempts=100)
            ask(database)
            fault_server.stop("immediate")
            promote(standby)
            resolver.names["localhost"] = ("127.0.0.1", standby.port)
            with noticed.within(database.settings.connect_timeout_s, 10):
                database.run_transaction(lambda connection: connection.execute(text("insert into moved values (1)")))
            database.close()
        assert run(standby, "select count(*) from moved") == [(1,)]
    fault_server.start()


@pytest.mark.parametrize("target", TargetSession)
def test_a_name_that_still_means_the_standby_is_resolved_again(
    make_database: Callable[..., Database], fault_server: PostgresServer, tmp_path: Path, target: TargetSession
) -> None:
    """Rows 9 and 10: a standby says so at login, or by 25006; each reconnect asks the name again until it moves."""
    run(fault_server, "create table if not exists moved (n int)")
    with standby_of(fault_server, tmp_path / "standby") as standby:
        resolver = Resolver(localhost=("127.0.0.1", standby.port))
        with resolver.installed():
            resolver.move("localhost", ("127.0.0.1", fault_server.port), after=2)
            database = make_database(
                fault_server.url(), host="localhost", max_attempts=100, target_session_attrs=target
            )
            database.run_transaction(lambda connection: connection.execute(text("insert into moved values (2)")))
            database.close()
    assert len(resolver.asked) == 3
    assert run(fault_server, "select count(*) from moved where n = 2") == [(1,)]
    run(fault_server, "truncate moved")


def test_a_resolver_without_an_answer_is_asked_again(
    make_database: Callable[..., Database], fault_server: PostgresServer, pool_size: int
) -> None:
    """Row 10: in a spike a network interface's questions are dropped; the name means what it meant."""
    resolver = Resolver(localhost=("127.0.0.1", fault_server.port))
    with resolver.installed():
        resolver.unanswered = 5
        database = make_database(fault_server.url(), pool_size=pool_size, host="localhost")
        assert ask(database) == 1
        assert resolver.unanswered == 0
        database.close()


def test_a_standby_is_refused_before_any_work(
    make_database: Callable[..., Database], fault_server: PostgresServer, tmp_path: Path, noticed: Noticed
) -> None:
    """Row 9: it has said at login that it is one; the error says what to do where only reading is wanted."""
    with standby_of(fault_server, tmp_path / "standby") as standby:
        database = make_database(standby.url(), connect_timeout_s=CONNECT_S)
        with noticed.within(CONNECT_S, 9), pytest.raises(ReadOnlyError, match="DB_TARGET_SESSION_ATTRS=any"):
            ask(database)
        reader = make_database(standby.url(), target_session_attrs=TargetSession.ANY)
        assert ask(reader) == 1
        with reader.transaction() as connection:  # which asks for an id, as a cursor that is held may write in COMMIT
            connection.execute(text("declare held cursor with hold for select 1"))
        with pytest.raises(ReadOnlyError), reader.transaction() as connection:
            connection.execute(text("create table never (n int)"))
        database.close()
        reader.close()


def test_a_read_only_transaction_is_the_borrowers_own(proxied: Database, proxy: Proxy) -> None:
    """Row 9: who asked for a read-only transaction and writes keeps the connection and hears of it."""
    connections = proxy.traffic().connections
    with pytest.raises(ReadOnlyError), proxied.autocommit() as connection:
        connection.execution_options(postgresql_readonly=True).execute(text("create table never (n int)"))
    assert proxy.traffic().connections - connections <= 1


def test_a_read_only_transaction_of_the_works_own_is_not_waited_for(proxied: Database) -> None:
    """Row 9: by a statement, too; it would be refused as often as it were run again."""
    runs = []

    def work(connection: Connection) -> None:
        runs.append(1)
        connection.execute(text("set transaction read only"))
        connection.execute(text("create table never (n int)"))

    with pytest.raises(ReadOnlyError):
        proxied.run_transaction(work)
    assert len(runs) == 1


def test_a_writer_is_waited_for_although_an_earlier_run_had_wanted_to_read_only(
    make_database: Callable[..., Database], fault_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 9: what a lost connection was asked for says nothing of a run that has not been lent one."""
    database = make_database(fault_server.url())
    connects, runs = iter([None, *[ReadOnlyError("the server is a standby")] * 3]), []
    opened = database._open

    def connect(**options: bool) -> WatchedConnection:
        if refusal := next(connects, None):
            raise refusal
        return opened(**options)

    def work(connection: Connection) -> object:
        runs.append(connection)
        connection.execute(text("set transaction read only"))
        if len(runs) == 1:
            connection.execute(text("select pg_terminate_backend(pg_backend_pid())"))
        return connection.scalar(text("select 1"))

    monkeypatch.setattr(database, "_open", connect)
    assert database.run_transaction(work) == 1
    assert (len(runs), next(connects, None)) == (2, None)
