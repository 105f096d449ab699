"""A login that ends in the first statement's flight: as good as any other."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Connection, text

from db import CommitUnknownError, Database, Deadline, DeadlineExceededError, UnavailableError
from local.postgres import PostgresServer
from tests.faults.asking import ask_with_a_value as ask
from tests.faults.proxy import Action, Direction, Fault, Proxy
from tests.faults.server import backends, run, wait_until


@pytest.fixture
def known(proxied: Database) -> Database:
    """A Database whose server has let it in before, and that has no connection now."""
    ask(proxied)
    proxied.close()
    return proxied


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
    wait_until(lambda: len(backends(postgres, "application_name = 'proxied' and state = 'idle'")) == kept)
    assert ask(known) == 1


def test_a_borrow_without_a_statement_that_takes_too_long_closes_quietly(
    make_database: Callable[..., Database], postgres: PostgresServer, pool_size: int, caplog: pytest.LogCaptureFixture
) -> None:
    """The login has as long as any other; nobody has asked for anything, and nobody is alarmed."""
    database = make_database(postgres.url(), pool_size=pool_size)
    ask(database)
    database.close()
    with database.transaction() as connection:
        session: Any = connection.connection.dbapi_connection
        session.transport().deadline = Deadline.after(0)
    assert not caplog.records
    assert ask(database) == 1


def test_a_statement_in_it_is_held_to_the_deadline(known: Database) -> None:
    """By the server, which has had the limit since the StartupMessage."""
    with pytest.raises(DeadlineExceededError), known.invocation(1_200), known.transaction() as connection:
        connection.execute(text("select pg_sleep(10)"))
    assert ask(known) == 1


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
