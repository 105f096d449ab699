"""A login that ends in the first statement's flight: as good as any other, also where the server refuses it there."""

import io
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from sqlalchemy import Connection, text

from db import (
    CommitUnknownError,
    Database,
    DatabaseSettings,
    DeadlineExceededError,
    LoginRefusedError,
    SaturatedError,
    Tls,
    UnavailableError,
)
from db.observation import Borrow, Repeat, Silence, SlowStatement
from local.postgres import PostgresServer
from tests.faults.proxy import Action, Direction, Fault, Proxy
from tests.faults.server import ORDINARY, Full, admin, backends, filled, ordinary_url, run, standby_of, wait_until

PASSWORD_CHANGED = "alter role {} password '{}'"


class Facts(Silence):
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.borrows: list[Borrow] = []
        self.others: list[Repeat | SlowStatement] = []

    def borrowed(self, borrow: Borrow) -> None:
        self.borrows.append(borrow)

    def repeated(self, repeat: Repeat) -> None:
        self.others.append(repeat)

    def slow(self, slow: SlowStatement) -> None:
        self.others.append(slow)


def ask(database: Database) -> int:
    with database.transaction() as connection:
        answer: int = connection.scalar(text("select cast(:n as int)"), {"n": 1})
    return answer


@pytest.fixture
def known(proxied: Database) -> Database:
    """A Database whose server has let it in before, and that has no connection now."""
    ask(proxied)
    proxied.close()
    return proxied


@pytest.fixture
def ordinary(fault_server: PostgresServer, pool_size: int) -> Iterator[tuple[Database, Facts]]:
    """The same as an ordinary role of a server that may be treated badly, and what it tells."""
    facts = Facts()
    settings = DatabaseSettings(
        url=ordinary_url(fault_server),
        tls=Tls.INSECURE_LOCAL_ONLY,
        pool_size=pool_size,
        slot_wait_s=3,
        slow_statement_ms=250,
    )
    database = Database(settings, observer=facts)
    ask(database)
    database.close()
    facts.borrows.clear()
    yield database, facts
    database.close()


def _copy(connection: Connection) -> None:
    cursor: Any = connection.connection.cursor()
    cursor.execute("copy joined from stdin", stream=io.StringIO("1\n2\n"))


FIRST: dict[str, Callable[[Connection], Any]] = {
    "without values": lambda connection: connection.execute(text("insert into joined values (1), (2)")),
    "several at once": lambda connection: connection.exec_driver_sql(
        "insert into joined values (1); insert into joined values (2)"
    ),
    "many sets": lambda connection: connection.execute(text("insert into joined values (:n)"), [{"n": 1}, {"n": 2}]),
    "copy": _copy,
    "set": lambda connection: connection.execute(text("set work_mem = '1MB'")),
    "call": lambda connection: connection.execute(text("do $$ begin insert into joined values (1), (2); end $$")),
}


@pytest.mark.parametrize("mode", ["transaction", "autocommit"])
@pytest.mark.parametrize("first", FIRST)
def test_any_statement_may_be_the_first(known: Database, postgres: PostgresServer, mode: str, first: str) -> None:
    """Whatever its flight looks like, it is done once."""
    run(postgres, "drop table if exists joined")
    run(postgres, "create table joined (n int)")
    with getattr(known, mode)() as connection:
        FIRST[first](connection)
        assert connection.scalar(text("show work_mem")) == ("1MB" if first == "set" else "4MB")
    assert run(postgres, "select count(*) from joined") == [(0 if first == "set" else 2,)]


def test_a_borrow_without_a_statement_ends_the_login_itself(known: Database, postgres: PostgresServer) -> None:
    """So that the connection which is kept is a whole one; where none is kept, none stays."""
    with known.transaction():
        pass
    kept = known.settings.pool_size
    assert len(backends(postgres, "application_name = 'proxied' and state = 'idle'")) == kept
    assert ask(known) == 1


def test_a_borrow_without_a_statement_that_takes_too_long_closes_quietly(
    make_database: Callable[..., Database], postgres: PostgresServer, pool_size: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The login has as long as any other; nobody has asked for anything, and nobody is alarmed."""
    database = make_database(postgres.url(), pool_size=pool_size, connect_timeout_s=0.3)
    ask(database)
    database.close()
    with database.transaction():
        time.sleep(0.4)
    assert not caplog.records
    assert ask(database) == 1


def test_a_borrow_without_a_statement_that_is_refused_closes_quietly(
    ordinary: tuple[Database, Facts], fault_server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    """By a server that is full, as when there is no borrow at all."""
    database, _ = ordinary
    with filled(fault_server, Full.ROLE), database.transaction():
        pass
    assert not caplog.records
    assert ask(database) == 1


def test_a_statement_in_it_is_held_to_the_deadline(known: Database) -> None:
    """By the server, which has had the limit since the StartupMessage."""
    with pytest.raises(DeadlineExceededError), known.invocation(1_200), known.transaction() as connection:
        connection.execute(text("select pg_sleep(10)"))
    assert ask(known) == 1


def test_a_password_that_was_changed_is_refused_as_ever(
    ordinary: tuple[Database, Facts], fault_server: PostgresServer
) -> None:
    """With the same typed error, and tried once: the server has said it all in the first flight."""
    database, facts = ordinary
    run(fault_server, PASSWORD_CHANGED.format(ORDINARY, "another"))
    before = fault_server.log().count("password authentication failed")
    try:
        with pytest.raises(LoginRefusedError):
            ask(database)
    finally:
        run(fault_server, PASSWORD_CHANGED.format(ORDINARY, fault_server.password))
    assert fault_server.log().count("password authentication failed") == before + 1
    assert facts.others == []


def test_a_server_that_stays_full_is_saturated(ordinary: tuple[Database, Facts], fault_server: PostgresServer) -> None:
    """With the same typed error, after the same patience."""
    database, _ = ordinary
    with filled(fault_server, Full.ROLE), pytest.raises(SaturatedError):
        ask(database)


def test_a_lost_session_is_ended_also_where_the_server_was_full_at_first(
    ordinary: tuple[Database, Facts], fault_server: PostgresServer
) -> None:
    """It may hold locks: it is not forgotten with a login that is refused, in whatever way that is tried."""
    database, facts = ordinary
    with admin(fault_server, ORDINARY) as lost:
        database._abandoned.note(database._abandoned.clock(), lost.info.backend_pid)
        with filled(fault_server, Full.ROLE), pytest.raises(SaturatedError):
            ask(database)
        ordinary_url(fault_server, connection_limit=-1)
        wait_until(lambda: _is_served(database))
        assert lost.info.backend_pid not in backends(fault_server)
    assert facts.others == []


def _is_served(database: Database) -> bool:
    with suppress(SaturatedError):
        return ask(database) == 1
    return False


@pytest.mark.parametrize("mode", ["transaction", "autocommit"])
def test_a_server_that_is_full_is_asked_again_in_the_ordinary_way(
    ordinary: tuple[Database, Facts], fault_server: PostgresServer, mode: str
) -> None:
    """What was in the refused flight has not been done, and is done once there is a slot."""
    database, facts = ordinary
    run(fault_server, f"create table if not exists late (n int); grant all on late to {ORDINARY}; truncate late")
    with filled(fault_server, Full.ROLE) as free:
        Timer(0.3, free).start()
        with getattr(database, mode)() as connection:
            connection.execute(text("insert into late values (:n)"), {"n": 1})
    (borrow,) = facts.borrows
    assert borrow.slots.refusals >= 2  # the late one, and those of the ordinary way
    assert facts.others == []  # it was neither work that was run again, nor a slow statement
    assert run(fault_server, "select count(*) from late") == [(1,)]


def test_a_standby_is_noticed_at_its_end(
    make_database: Callable[..., Database], fault_server: PostgresServer, tmp_path: Path
) -> None:
    """Where the name leads to another server now: what it has answered counts for nothing."""
    with standby_of(fault_server, tmp_path / "standby") as standby, Proxy(fault_server.port) as proxy:
        url = fault_server.url().replace(f":{fault_server.port}/", f":{proxy.port}/")
        database = make_database(url, connect_timeout_s=0.5)
        ask(database)
        database.close()
        proxy.upstream_port = standby.port
        with pytest.raises(UnavailableError, match="standby"):
            ask(database)
        proxy.upstream_port = fault_server.port
        assert ask(database) == 1
        database.close()


@pytest.mark.parametrize("mode", ["transaction", "autocommit"])
def test_wherever_it_is_cut_nothing_is_done_twice_or_lost(
    proxied: Database, proxy: Proxy, postgres: PostgresServer, mode: str
) -> None:
    """An acknowledged insert is there once; one whose fate is not known, at most once; any other, not at all."""
    run(postgres, "drop table if exists cut")
    run(postgres, "create table cut (n int)")
    outcomes = set()
    ask(proxied)
    for number in range(20):
        proxied.close()
        fault = Fault(Action.RESET, Direction.TO_CLIENT, once_sent=b"insert into cut", after_bytes=number * 36)
        proxy.faults = _only(len(proxy.links) + 1, fault)
        outcomes.add(outcome := _insert(proxied, mode, number))
        (count,) = run(postgres, "select count(*) from cut where n = %(n)s", n=number)[0]
        assert count in {"acknowledged": {1}, "unknown": {0, 1}, "failed": {0}}[outcome], number
        ask(proxied)
    assert outcomes == ({"acknowledged"} if mode == "transaction" else {"acknowledged", "unknown"})


def _only(number: int, fault: Fault) -> Callable[[int], list[Fault]]:
    """Let `fault` strike the connection of this number, and no other."""
    return lambda each: [fault] if each == number else []


def _insert(database: Database, mode: str, number: int) -> str:
    try:
        with getattr(database, mode)() as connection:
            connection.execute(text("insert into cut values (:n)"), {"n": number})
    except CommitUnknownError:
        return "unknown"
    except UnavailableError:
        return "failed"
    return "acknowledged"
