"""A login that ends in the first statement's flight and is refused there: told as ever, and nothing done twice."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest
from sqlalchemy import text

from db import Database, DatabaseSettings, LoginRefusedError, SaturatedError, Tls, UnavailableError
from db.observation import Borrow, Repeat, Silence, SlowStatement
from local.postgres import PostgresServer
from tests.faults.asking import ask_with_a_value as ask
from tests.faults.proxy import Proxy
from tests.faults.server import ORDINARY, Full, admin, backends, filled, ordinary_url, run, standby_of, wait_until

SLOW_MS = 2000
"""From when on a statement is slow: later than one that does not wait can be."""
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


@pytest.fixture
def slot_wait_s() -> float:
    """How long a slot is waited for."""
    return 3.0


@pytest.fixture
def ordinary(fault_server: PostgresServer, pool_size: int, slot_wait_s: float) -> Iterator[tuple[Database, Facts]]:
    """The same as an ordinary role of a server that may be treated badly, and what it tells."""
    facts = Facts()
    settings = DatabaseSettings(
        url=ordinary_url(fault_server),
        tls=Tls.INSECURE_LOCAL_ONLY,
        pool_size=pool_size,
        slot_wait_s=slot_wait_s,
        slow_statement_ms=SLOW_MS,
    )
    database = Database(settings, observer=facts)
    ask(database)
    database.close()
    facts.borrows.clear()
    yield database, facts
    database.close()


def test_a_borrow_without_a_statement_that_is_refused_closes_quietly(
    ordinary: tuple[Database, Facts], fault_server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    """By a server that is full, as when there is no borrow at all."""
    database, _ = ordinary
    with filled(fault_server, Full.ROLE), database.transaction():
        pass
    assert not caplog.records
    assert ask(database) == 1


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


def test_a_right_to_connect_that_was_taken_away_is_told_at_once(
    ordinary: tuple[Database, Facts], fault_server: PostgresServer
) -> None:
    """By its SQLSTATE, and asked for once: it is the login's, and not the statement's."""
    database, facts = ordinary
    run(fault_server, "revoke connect on database postgres from public")
    before = fault_server.log().count("permission denied for database")
    try:
        with pytest.raises(LoginRefusedError, match="42501"):
            ask(database)
    finally:
        run(fault_server, "grant connect on database postgres to public")
    assert fault_server.log().count("permission denied for database") == before + 1
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
        with filled(fault_server, Full.ROLE, others=1), pytest.raises(SaturatedError):
            ask(database)
        ordinary_url(fault_server, connection_limit=-1)
        wait_until(lambda: _is_served(database))
        wait_until(lambda: lost.info.backend_pid not in backends(fault_server))
    assert facts.others == []


def _is_served(database: Database) -> bool:
    with suppress(SaturatedError):
        return ask(database) == 1
    return False


def _free_late(free: Callable[[], None], server: PostgresServer, refusals: int) -> None:
    """Free a slot once there are two more refusals, and a statement that had waited for it would be a slow one."""
    wait_until(lambda: server.log().count(Full.ROLE.value) >= refusals + 2)
    time.sleep(SLOW_MS / 1000)
    free()


@pytest.mark.parametrize("slot_wait_s", [30.0])
@pytest.mark.parametrize("mode", ["transaction", "autocommit"])
def test_a_server_that_is_full_is_asked_again_in_the_ordinary_way(
    ordinary: tuple[Database, Facts], fault_server: PostgresServer, mode: str
) -> None:
    """What was in the refused flight has not been done, and is done once there is a slot."""
    database, facts = ordinary
    run(fault_server, f"create table if not exists late (n int); grant all on late to {ORDINARY}; truncate late")
    with filled(fault_server, Full.ROLE) as free:
        freer = Thread(target=_free_late, args=[free, fault_server, fault_server.log().count(Full.ROLE.value)])
        freer.start()
        with getattr(database, mode)() as connection:
            connection.execute(text("insert into late values (:n)"), {"n": 1})
        freer.join()
    (borrow,) = facts.borrows
    assert borrow.slots.refusals >= 2  # the late one, and those of the ordinary way
    assert facts.others == []  # it was neither work that was run again, nor a slow statement
    assert run(fault_server, "select count(*) from late") == [(1,)]


def test_a_standby_is_noticed_at_its_end(
    make_database: Callable[..., Database], fault_server: PostgresServer, tmp_path: Path
) -> None:
    """Where the name leads to another server now: what it has answered counts for nothing."""
    with standby_of(fault_server, tmp_path / "standby") as standby, Proxy(fault_server.port) as proxy:
        url = fault_server.url(port=proxy.port)
        database = make_database(url, connect_timeout_s=3)
        ask(database)
        database.close()
        proxy.upstream_port = standby.port
        with pytest.raises(UnavailableError, match="standby"):
            ask(database)
        proxy.upstream_port = fault_server.port
        assert ask(database) == 1
        database.close()
