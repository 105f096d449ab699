"""Rows 19 and 28: a borrow that is still open: at the invocation's end, and where another begins inside it."""

import gc
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import Connection, text

from db import Database, Deadline, NestedBorrowError
from local.postgres import PostgresServer
from tests.faults.observed import Facts, observed
from tests.faults.proxy import Action, Proxy
from tests.faults.server import backends, wait_until
from tests.noticing import Noticed

PLENTY_MS = 10_000


@pytest.fixture
def facts() -> Facts:
    return Facts()


@pytest.fixture
def database(postgres: PostgresServer, pool_size: int, facts: Facts) -> Iterator[Database]:
    with observed(postgres, pool_size, facts) as database:
        yield database


def walks_away(database: Database) -> Generator[Connection]:
    """Yield from inside a borrow, as a handler that streams does."""
    with database.transaction() as connection:
        connection.execute(text("create table if not exists left_behind (n int)"))
        connection.execute(text("insert into left_behind values (1)"))
        yield connection


def idle_in_transaction(postgres: PostgresServer) -> list[int]:
    return backends(postgres, "application_name = 'left-behind' and state like 'idle in transaction%'")


def test_an_abandoned_generator_is_taken_back(
    database: Database, facts: Facts, postgres: PostgresServer, noticed: Noticed
) -> None:
    """Row 19: the transaction is rolled back at the invocation's end, and the line that borrowed is named."""
    with database.invocation(PLENTY_MS):
        abandoned = walks_away(database)
        next(abandoned)
        assert idle_in_transaction(postgres)
        left_at = time.monotonic()
    noticed(19, time.monotonic() - left_at, database.settings.reserve_s)
    assert not idle_in_transaction(postgres)
    [leak] = facts.leaks
    assert "test_left_behind.py" in leak.call_site
    assert leak.call_site.endswith("walks_away")
    assert database.pool_state().borrowed == 0
    del abandoned
    gc.collect()


def test_what_a_taken_back_borrow_does_later_harms_nobody(database: Database, facts: Facts) -> None:
    """Row 19: its generator ends in a later invocation; that is neither an error nor told twice."""
    with database.invocation(PLENTY_MS):
        abandoned = walks_away(database)
        next(abandoned)
    with database.invocation(PLENTY_MS), database.transaction() as connection:
        abandoned.close()
        assert connection.scalar(text("select 1")) == 1
    assert (len(facts.borrows), len(facts.leaks)) == (2, 1)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_error_gives_the_connection_back_at_once(
    database: Database, facts: Facts, postgres: PostgresServer, error: type[BaseException]
) -> None:
    """Row 19: whatever ends a borrow, nothing waits for the invocation's end."""
    with database.invocation(PLENTY_MS):
        with suppress(error), database.transaction() as connection:
            connection.execute(text("select 1"))
            raise error
        assert database.pool_state().borrowed == 0
        assert not idle_in_transaction(postgres)
    assert not facts.leaks


def test_another_threads_leak_is_closed(database: Database, facts: Facts, postgres: PostgresServer) -> None:
    """Row 19: a connection that another thread may be using is not lent again."""
    generators = []

    def leak() -> None:
        generators.append(walks_away(database))
        next(generators[0])

    with database.invocation(PLENTY_MS):
        thread = threading.Thread(target=leak)
        thread.start()
        thread.join()
    assert len(facts.leaks) == 1
    wait_until(lambda: not backends(postgres, "application_name = 'left-behind'"))
    generators[0].close()


@pytest.mark.parametrize("silence_s", [2.0])
def test_what_is_left_on_a_connection_that_fell_silent_is_given_up_in_time(
    proxied: Database, proxy: Proxy, noticed: Noticed
) -> None:
    """Row 19: its rollback gets no answer; that is not waited for longer than for any other."""
    with proxied.invocation(PLENTY_MS):
        abandoned = walks_away(proxied)
        next(abandoned)
        proxy.end(Action.SWALLOW)
        left_at = time.monotonic()
    noticed(19, time.monotonic() - left_at, proxied.settings.silence_s)
    abandoned.close()


def test_a_borrow_inside_a_borrow_is_refused_at_once(database: Database, noticed: Noticed) -> None:
    """Row 28: it never waits for itself, and the error names the line that holds the connection."""
    with (
        database.transaction(),
        noticed.within(database.settings.slot_wait_s, 28),
        pytest.raises(NestedBorrowError, match=r"test_left_behind\.py:\d+ test_a_borrow_inside"),
        database.autocommit(),
    ):
        pass


def test_a_pool_of_two_lends_two_and_no_third(make_database: Callable[..., Database], postgres: PostgresServer) -> None:
    """Row 28: each has a transaction of its own, and the third is refused at once."""
    pair = make_database(postgres.url(), pool_size=2)
    with pair.transaction() as outer, pair.transaction() as inner:
        processes = {connection.scalar(text("select pg_backend_pid()")) for connection in (outer, inner)}
        with pytest.raises(NestedBorrowError), pair.transaction():
            pass
    assert len(processes) == 2
    assert pair.pool_state().borrowed == 0


def test_what_is_taken_back_too_late_harms_nobody(
    make_database: Callable[..., Database], postgres: PostgresServer
) -> None:
    """Row 19: with no time kept back it cannot be rolled back, so it is closed; the handler's answer stays its own."""
    hasty = make_database(postgres.url(), reserve_s=0.0, application_name="left-behind")
    with hasty.invocation(PLENTY_MS):
        abandoned = walks_away(hasty)
        session: Any = next(abandoned).connection.dbapi_connection
        session.deadline = Deadline.after(0)
    assert hasty.pool_state().borrowed == 0
    wait_until(lambda: not idle_in_transaction(postgres))
    abandoned.close()
    with hasty.invocation(PLENTY_MS), hasty.transaction() as connection:
        assert connection.scalar(text("select 1")) == 1


def test_two_threads_are_not_one_inside_the_other(database: Database) -> None:
    """Row 28: without a pool each thread has a connection of its own; with a pool of one the second is told so."""
    caught: list[BaseException] = []

    def borrow() -> None:
        try:
            with database.autocommit() as connection:
                connection.execute(text("select 1"))
        except NestedBorrowError as error:
            caught.append(error)

    with database.transaction():
        thread = threading.Thread(target=borrow)
        thread.start()
        thread.join(10)
    assert not thread.is_alive()
    assert len(caught) == database.settings.pool_size
