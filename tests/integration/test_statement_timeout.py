"""statement_timeout on a real server: there for every statement, sent along only where it has to change."""

from collections.abc import Callable

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from db import Database, DeadlineExceededError
from db.deadline import Deadline
from db.protocol import time_limit
from db.protocol.connection import Connection as DriverConnection
from local.postgres import PostgresServer

LIMIT = text("select setting::int from pg_settings where name = 'statement_timeout'")
OF_900_S = range(819_000, 899_500)
"""What fits nine hundred seconds less the reserve of half of one; a busy machine takes little of so many."""
OF_300_S = range(270_000, 299_500)


@pytest.fixture
def warm(make_database: Callable[..., Database], server_itself: PostgresServer, sent: list[bytes]) -> Database:
    """A Database of a server that is ours, with a connection; `sent` has what it sends from now on."""
    database = make_database(server_itself.url(), pool_size=1, reserve_s=0.5)
    with database.invocation(900_000), database.autocommit() as connection:
        connection.execute(LIMIT)
    sent.clear()
    return database


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Every flight, as it goes out."""
    from db.protocol.transport import Transport

    flights: list[bytes] = []
    write = Transport.write

    def note(transport: Transport, data: bytes) -> None:
        flights.append(data)
        write(transport, data)

    monkeypatch.setattr(Transport, "write", note)
    return flights


def limit(database: Database, remaining_ms: int, mode: str = "autocommit") -> int:
    with database.invocation(remaining_ms), getattr(database, mode)() as connection:
        return int(connection.scalar(LIMIT))


@pytest.mark.parametrize("mode", ["autocommit", "transaction"])
def test_invocations_with_as_much_time_say_nothing(warm: Database, sent: list[bytes], mode: str) -> None:
    """The session has had its limit since its StartupMessage, and it applies."""
    for _ in range(3):
        assert limit(warm, 900_000, mode) in OF_900_S
    assert b"set statement_timeout" not in b"".join(sent)


@pytest.mark.parametrize("mode", ["autocommit", "transaction"])
def test_one_with_less_time_says_so_and_the_next_says_so_again(warm: Database, sent: list[bytes], mode: str) -> None:
    """In the flight of the statement; no limit is ever longer than what is left."""
    assert limit(warm, 300_000, mode) in OF_300_S
    assert limit(warm, 300_000, mode) in OF_300_S
    assert limit(warm, 900_000, mode) in OF_900_S
    assert b"".join(sent).count(b"set statement_timeout") == 2


@pytest.mark.parametrize("mode", ["autocommit", "transaction"])
def test_a_limit_that_was_rolled_back_is_said_again(warm: Database, mode: str) -> None:
    """A statement that fails takes the SET in front of it back."""
    with pytest.raises(DBAPIError), warm.invocation(300_000), getattr(warm, mode)() as connection:
        connection.execute(text("select 1 / cast(:n as int)"), {"n": 0})
    assert limit(warm, 300_000, mode) in OF_300_S


@pytest.mark.parametrize("mode", ["autocommit", "transaction"])
@pytest.mark.parametrize("end", ["commit", "rollback", "/* all of it */ abort", "begin; rollback"])
def test_a_transaction_that_ends_by_a_statement_leaves_no_wrong_limit(warm: Database, end: str, mode: str) -> None:
    """Whoever writes COMMIT or ROLLBACK as text: the next invocations are limited, however much time they have."""
    with warm.invocation(300_000), getattr(warm, mode)() as connection:
        connection.execute(LIMIT)
        connection.execute(text(end))
    assert limit(warm, 300_000) in OF_300_S
    assert limit(warm, 900_000) in OF_900_S


@pytest.mark.parametrize("end", ["rollback", "abort"])
def test_a_rollback_as_the_first_statement_leaves_no_wrong_limit(warm: Database, end: str) -> None:
    """With autocommit it takes back the limit that was said in front of it."""
    with warm.invocation(300_000), warm.autocommit() as connection:
        connection.execute(text(end))
    assert limit(warm, 300_000) in OF_300_S


def test_a_limit_that_went_with_its_savepoint_is_said_again(warm: Database) -> None:
    """A later deadline's limit is said in front of a statement, and lost where that one's savepoint is gone back to."""
    with warm.invocation(900_000), warm.transaction() as connection:
        session = connection.connection.dbapi_connection
        assert isinstance(session, DriverConnection)
        connection.execute(text("savepoint a"))
        session.deadline = Deadline.after(299.5)
        assert connection.scalar(LIMIT) in OF_300_S
        connection.execute(text("rollback to savepoint a"))
        assert connection.scalar(LIMIT) in OF_300_S


def test_what_a_borrower_sets_is_his_and_gone_with_him(warm: Database) -> None:
    """Cleaned away, and with it what we had said."""
    with warm.invocation(300_000), warm.autocommit() as connection:
        connection.execute(text("set statement_timeout = 123"))
        assert connection.scalar(LIMIT) == 123
    assert limit(warm, 900_000) in OF_900_S


@pytest.mark.parametrize("alone", ["do $$ begin perform pg_sleep(1.1); end $$", "vacuum pg_namespace"])
def test_a_statement_that_must_be_alone_is_not_ended_by_an_earlier_limit(
    warm: Database, monkeypatch: pytest.MonkeyPatch, alone: str
) -> None:
    """Nothing may travel in its flight, so that the limit has one of its own where it does not fit."""
    with monkeypatch.context() as patched:
        patched.setattr(time_limit, "SHARE", 0.05)
        assert limit(warm, 20_500) <= 1_000
    with warm.invocation(900_000), warm.autocommit() as connection:
        connection.execute(text(alone))
        assert connection.scalar(LIMIT) > 800_000


def test_a_statement_that_takes_too_long_is_stopped_by_the_server(
    warm: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the limit that the session has kept: nobody had to ask for it to be cancelled."""
    monkeypatch.setattr(time_limit, "SHARE", 0.05)
    with pytest.raises(DeadlineExceededError) as caught, warm.invocation(20_500), warm.autocommit() as connection:
        connection.execute(text("select pg_sleep(:seconds)"), {"seconds": 10})
    assert "statement timeout" in str(caught.value.__cause__)
