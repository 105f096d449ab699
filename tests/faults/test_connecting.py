"""Rows 2, 7, 9, 10 and 13: connecting to a server that is full, starting, gone, moved, or does not answer."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Timer

import pytest
from sqlalchemy import Connection, text

from db import (
    ConnectionLostError,
    Database,
    DeadlineExceededError,
    ReadOnlyError,
    SaturatedError,
    Tls,
    UnavailableError,
    UnreachableError,
)
from db.fleet.policy import FIRST_PATIENCE
from db.protocol.server_errors import sqlstate_of
from db.settings import TargetSession
from local.postgres import PostgresServer
from tests.faults.clock import Resolver
from tests.faults.proxy import Action, Direction, Fault, Proxy
from tests.faults.server import (
    ORDINARY,
    Full,
    filled,
    make_read_only,
    ordinary_url,
    promote,
    recovering,
    run,
    standby_of,
    wait_until,
)
from tests.faults.tls import Authority, TlsFront
from tests.noticing import Noticed

CONNECT_S = 2.0
BOUND_S = 2.0


def ask(database: Database) -> int:
    with database.transaction() as connection:
        answer: int = connection.scalar(text("select 1"))
    return answer


# --- 7: full ---


@pytest.mark.parametrize("what", Full)
def test_a_slot_is_waited_for(
    make_database: Callable[..., Database], fault_server: PostgresServer, pool_size: int, what: Full
) -> None:
    """Row 7: whichever of its messages the server refuses with, a slot that gets free is taken."""
    with filled(fault_server, what) as free:
        database = make_database(fault_server.url(ORDINARY), pool_size=pool_size)
        Timer(0.3, free).start()
        assert ask(database) == 1
        database.close()


@pytest.mark.parametrize("what", Full)
@pytest.mark.parametrize(
    ("slot_wait_s", "remaining_ms", "is_first"),
    [(BOUND_S / FIRST_PATIENCE, 10_000, True), (BOUND_S, 10_000, False), (10.0, 2_500, False)],
    ids=["first wait", "later wait", "deadline"],
)
def test_a_full_server_ends_in_a_typed_error(
    make_database: Callable[..., Database],
    fault_server: PostgresServer,
    what: Full,
    slot_wait_s: float,
    remaining_ms: int,
    *,
    is_first: bool,
    noticed: Noticed,
) -> None:
    """Row 7: when patience or the invocation ends, whichever comes first, so that 503 with Retry-After can follow."""
    database = make_database(ordinary_url(fault_server), slot_wait_s=slot_wait_s)
    if not is_first:
        ask(database)
        database.close()
    with (
        filled(fault_server, what),
        noticed.within(BOUND_S, 7),
        pytest.raises(SaturatedError) as caught,
        database.invocation(remaining_ms),
    ):
        ask(database)
    assert caught.value.retry_after_s >= 1


# --- 2: starting up ---


def test_a_server_that_comes_back_is_waited_for(
    make_database: Callable[..., Database], fault_server: PostgresServer, pool_size: int
) -> None:
    """Rows 1 and 2: connections are refused, then answered with 57P03, and then taken."""
    database = make_database(fault_server.url(), pool_size=pool_size)
    ask(database)
    fault_server.stop("immediate")
    starter = Timer(0.3, fault_server.start)
    starter.start()
    assert ask(database) == 1
    starter.join()


def test_a_server_that_does_not_come_back_is_given_up_by_the_deadline(
    make_database: Callable[..., Database], fault_server: PostgresServer, tmp_path: Path, noticed: Noticed
) -> None:
    """Row 2: 57P03 is waited for as long as the work may take, which is longer than a connect, and no longer."""
    with recovering(fault_server, tmp_path / "recovering") as server:
        database = make_database(server.url(), connect_timeout_s=0.5)
        with noticed.within(2.0, 2), pytest.raises(UnreachableError) as caught, database.invocation(2500):
            ask(database)
        database.close()
    assert sqlstate_of(caught.value.__cause__ or caught.value) == "57P03"


# --- 13: nobody, or nobody who answers ---


@pytest.fixture
def deaf() -> Iterator[int]:
    """A port where the kernel takes connections and nobody accepts them."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def unreachable() -> Iterator[int]:
    """A port whose queue is full: a SYN is not answered."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:
            client.setblocking(False)  # noqa: FBT003 - the socket's own signature
            client.connect_ex(address)
        yield address[1]
        for client in waiting:
            client.close()


@pytest.mark.parametrize("listener", ["deaf", "unreachable"])
def test_one_deadline_covers_the_connect(
    make_database: Callable[..., Database],
    postgres: PostgresServer,
    request: pytest.FixtureRequest,
    listener: str,
    noticed: Noticed,
) -> None:
    """Row 13: a SYN without answer, and a connection that nobody serves."""
    port = request.getfixturevalue(listener)
    database = make_database(postgres.url().replace(f":{postgres.port}/", f":{port}/"), connect_timeout_s=CONNECT_S)
    with noticed.within(CONNECT_S, 13), pytest.raises(UnavailableError):
        ask(database)


IN_THE_LOGIN = [
    *((direction, after_bytes) for direction in Direction for after_bytes in (0, 1, 5, 30, 100, 200)),
    (Direction.TO_CLIENT, 400),
]


@pytest.mark.parametrize(("direction", "after_bytes"), IN_THE_LOGIN)
def test_one_deadline_covers_the_login(
    make_database: Callable[..., Database],
    postgres: PostgresServer,
    proxy: Proxy,
    direction: Direction,
    after_bytes: int,
    noticed: Noticed,
) -> None:
    """Row 13: whatever byte of the login the server, or the way to it, stops at."""
    proxy.faults = lambda _number: [Fault(Action.STOP, direction, after_bytes=after_bytes)]
    url = postgres.url().replace(f":{postgres.port}/", f":{proxy.port}/")
    database = make_database(url, connect_timeout_s=CONNECT_S)
    with noticed.within(CONNECT_S, 13), pytest.raises(UnavailableError):
        ask(database)


def test_one_deadline_covers_all_sessions_that_are_lost_to_silence(
    make_database: Callable[..., Database], postgres: PostgresServer, proxy: Proxy, noticed: Noticed
) -> None:
    """Row 12: each is let in and then not heard any more; the invocation's deadline is one for all of them."""
    proxy.faults = lambda _number: [Fault(Action.STOP, once_sent=b"select 1")]
    url = postgres.url().replace(f":{postgres.port}/", f":{proxy.port}/")
    database = make_database(url, silence_s=1.5)
    bound_s = 4.0  # half of the reserve is spent on stopping the statement
    with (
        noticed.within(bound_s, 12),
        pytest.raises(UnavailableError),
        database.invocation((bound_s + database.settings.reserve_s) * 1000),
    ):
        ask(database)
    assert proxy.accepted > 1


@pytest.mark.parametrize("after_bytes", [0, 1, 100, 800])
def test_one_deadline_covers_tls(
    make_database: Callable[..., Database],
    postgres: PostgresServer,
    tmp_path: Path,
    after_bytes: int,
    noticed: Noticed,
) -> None:
    """Row 13: the handshake stops at any byte."""
    authority = Authority(tmp_path)
    with TlsFront(postgres.port, authority.certificate("localhost")) as front, Proxy(front.port) as proxy:
        proxy.faults = lambda _number: [Fault(Action.STOP, after_bytes=after_bytes)]
        url = postgres.url().replace(f"127.0.0.1:{postgres.port}", f"localhost:{proxy.port}")
        database = make_database(url, tls=Tls.VERIFY_FULL, tls_ca=str(authority.file), connect_timeout_s=CONNECT_S)
        with noticed.within(CONNECT_S, 13), pytest.raises(UnavailableError):
            ask(database)


@pytest.mark.parametrize("action", [Action.CLOSE, Action.RESET])
@pytest.mark.parametrize("after_bytes", [0, 1, 100])
def test_a_server_that_goes_down_in_the_handshake_is_waited_for(
    make_database: Callable[..., Database], postgres: PostgresServer, tmp_path: Path, action: Action, after_bytes: int
) -> None:
    """Row 13: whichever way the connection ends there, it says nothing of who the server is."""
    authority = Authority(tmp_path)
    with TlsFront(postgres.port, authority.certificate("localhost")) as front, Proxy(front.port) as proxy:
        proxy.faults = lambda number: [Fault(action, after_bytes=after_bytes)] if number == 1 else []
        url = postgres.url().replace(f"127.0.0.1:{postgres.port}", f"localhost:{proxy.port}")
        database = make_database(url, tls=Tls.VERIFY_FULL, tls_ca=str(authority.file))
        assert ask(database) == 1
        database.close()
    assert proxy.accepted > 1


def test_the_deadline_of_the_invocation_is_shorter(
    make_database: Callable[..., Database],
    postgres: PostgresServer,
    deaf: int,
    noticed: Noticed,
) -> None:
    """Row 13: a connect never takes longer than the invocation has left."""
    database = make_database(postgres.url().replace(f":{postgres.port}/", f":{deaf}/"), reserve_s=0.5)
    with noticed.within(2.0, 13), pytest.raises(UnavailableError), database.invocation(2500):
        ask(database)


# --- 9 and 10: another writer ---


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
    Timer(2, lambda: make_read_only(fault_server, read_only=False)).start()

    def work(connection: Connection) -> None:
        connection.execute(text("insert into written values (1)"))

    database.run_transaction(work)
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
            database = make_database(
                fault_server.url(), host="localhost", max_attempts=100, target_session_attrs=target
            )

            def move() -> None:
                resolver.names["localhost"] = ("127.0.0.1", fault_server.port)

            Timer(0.3, move).start()
            database.run_transaction(lambda connection: connection.execute(text("insert into moved values (2)")))
            database.close()
    assert len(resolver.asked) >= 2
    assert run(fault_server, "select count(*) from moved where n = 2") == [(1,)]
    run(fault_server, "truncate moved")


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


# --- 5 and 6: the server ends a statement or a session ---


def test_a_statement_that_takes_too_long_keeps_its_connection(
    proxied: Database, proxy: Proxy, noticed: Noticed
) -> None:
    """Row 6: 57014 comes before the deadline, as a typed error; the session serves on."""
    bound_s = 2.0
    with proxied.autocommit() as connection:
        connection.execute(text("select 1"))
    connections = proxy.traffic().connections
    with (
        noticed.within(bound_s, 6),
        pytest.raises(DeadlineExceededError),
        proxied.invocation((bound_s + proxied.settings.reserve_s) * 1000),
        proxied.transaction() as connection,
    ):
        connection.execute(text("select pg_sleep(5)"))
    ask(proxied)
    if proxied.settings.pool_size:
        assert proxy.traffic().connections == connections


def test_a_transaction_that_idles_is_ended(
    make_database: Callable[..., Database],
    postgres: PostgresServer,
    pool_size: int,
    noticed: Noticed,
) -> None:
    """Row 5: 25P03 frees its locks in time; the handler hears of it by a typed error at its next statement."""
    run(postgres, "create table if not exists idled (n int)")
    pause_s = 2.0
    database = make_database(
        postgres.url(), pool_size=pool_size, idle_in_transaction_s=pause_s, application_name="idled"
    )
    with pytest.raises(ConnectionLostError), database.transaction() as connection:
        connection.execute(text("lock table idled"))
        held_s = wait_until(lambda: not run(postgres, "select 1 from pg_locks where relation = 'idled'::regclass"))
        connection.execute(text("select 1"))
    noticed(5, held_s, pause_s)
    assert ask(database) == 1


def test_a_transaction_that_takes_too_long_is_a_typed_error(proxied: Database, proxy: Proxy) -> None:
    """Row 5: 25P04, with which PostgreSQL 17 and later end the session; not run again, as it would last as long."""
    with proxied.autocommit() as connection:
        version: int = connection.scalar(text("select current_setting('server_version_num')::int"))
    says_it_itself = version >= 170000
    connections = proxy.traffic().connections
    with pytest.raises(DeadlineExceededError), proxied.transaction() as connection:
        connection.execute(text("set local transaction_timeout = '300ms'" if says_it_itself else "select 1"))
        connection.execute(text("select pg_sleep(5)" if says_it_itself else "do 'begin raise sqlstate ''25P04''; end'"))
    assert proxy.traffic().connections - connections <= 1
    assert ask(proxied) == 1


def test_a_role_that_may_not_use_all_this_still_works(
    make_database: Callable[..., Database], fault_server: PostgresServer, pool_size: int
) -> None:
    """Rows 3 and 21: nothing of it needs a privilege."""
    url = ordinary_url(fault_server)
    database = make_database(url, pool_size=pool_size)
    run(fault_server, "drop table if exists owned")
    with database.transaction() as connection:
        connection.execute(text("create table owned (n int)"))
    with Proxy(fault_server.port) as proxy:
        database = make_database(url.replace(f":{fault_server.port}/", f":{proxy.port}/"), pool_size=pool_size)
        with pytest.raises(ConnectionLostError), database.transaction() as connection:
            connection.execute(text("insert into owned values (1)"))
            proxy.inject(Fault(Action.SWALLOW, Direction.TO_SERVER))
        database.close()
    assert run(fault_server, "select count(*) from owned") == [(0,)]
