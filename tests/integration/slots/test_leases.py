"""An idle connection has a lease, which the server ends: nobody notices, and whoever needs none has none."""

import time
from collections.abc import Callable
from typing import cast

import psycopg
import pytest
from sqlalchemy import Connection, text

from db import ConnectionLostError, Database
from db.fleet.lookout import LOOK_EVERY_S
from db.protocol.connection import Connection as DriverConnection
from db.protocol.riders import nobody
from local.postgres import PostgresServer
from tests.integration.slots.conftest import SLOTS, Facts, connected, wait_until, work


def test_the_server_ends_the_lease_of_an_idle_connection_and_nobody_notices(
    environment: Callable[..., Database], facts: Facts, crowded: int, server: PostgresServer
) -> None:
    """After its lease the slot is free, and the next borrow works."""
    database = environment(lease_s=1.5)
    work(database)
    wait_until(lambda: connected(server) == crowded)
    work(database)
    assert [borrow.failure for borrow in facts] == [None, None]
    assert [borrow.opened for borrow in facts] == [True, True]
    assert [borrow.slots.lease_ended for borrow in facts] == [False, True]


def test_a_connection_that_dies_in_a_borrow_is_no_lease_that_ended(
    environment: Callable[..., Database],
    facts: Facts,
    crowded: int,
    server: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """However long the last pause is ago: only what idles between two borrows has a lease."""
    database = environment(lease_s=60)
    clock = database._member._clock
    work(database)
    with pytest.raises(ConnectionLostError), database.transaction() as connection:
        process = connection.scalar(text("select pg_backend_pid()"))
        monkeypatch.setattr(database._member, "_clock", lambda: clock() + 61)
        with psycopg.connect(server.url(), autocommit=True) as admin:
            admin.execute("select pg_terminate_backend(%s, 5000)", (process,))
        connection.execute(text("select 1"))
    assert facts[0].slots.used == crowded + 1
    assert [borrow.opened for borrow in facts] == [True, False]
    assert not any(borrow.slots.lease_ended for borrow in facts)


def test_a_borrow_just_before_the_lease_ends_still_succeeds(
    environment: Callable[..., Database], facts: Facts, crowded: int
) -> None:
    """Whenever the borrow comes around the lease's end, it works: on the warm connection or on a new one."""
    database = environment(lease_s=1.5)
    for hundredths in (10, *range(95, 160, 8)):
        work(database)
        time.sleep(hundredths / 100)
    work(database)
    assert [borrow.failure for borrow in facts] == [None] * len(facts)
    assert facts[0].slots.used == crowded + 1
    ended = [borrow.slots.lease_ended for borrow in facts]
    assert True in ended
    assert False in ended[1:]


def test_a_connection_that_will_not_be_used_before_its_lease_ends_is_not_kept(
    environment: Callable[..., Database], facts: Facts, crowded: int
) -> None:
    """An environment that borrows more seldom than its leases last gives the slot back at once."""
    database = environment(lease_s=1.5)
    for _ in range(3):
        work(database)
        time.sleep(2)
    assert facts[0].slots.used == crowded + 1
    assert [borrow.slots.released for borrow in facts] == [None, *["no use before the lease ends"] * 2]


def test_with_much_room_an_idle_connection_is_left_alone(environment: Callable[..., Database], facts: Facts) -> None:
    """One of ten slots is taken: the lease is 150 times the shortest."""
    database = environment(lease_s=0.1)
    work(database)
    time.sleep(0.5)
    work(database)
    assert [borrow.opened for borrow in facts] == [True, False]


def test_autocommit_borrows_are_counted_and_leased_too(
    environment: Callable[..., Database], facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each statement of its own brings the sample home, once in a while."""
    monkeypatch.setattr("db.fleet.lookout.LOOK_EVERY_S", 60)
    database = environment()
    for _ in range(3):
        with database.autocommit() as connection:
            assert connection.scalar(text("select 1")) == 1
    assert [borrow.slots.usable for borrow in facts] == [SLOTS, None, None]
    with database.autocommit() as connection:
        assert connection.scalar(text("show idle_session_timeout")) == "5min"


def test_a_session_that_was_cleaned_has_the_lease_that_it_began_with(environment: Callable[..., Database]) -> None:
    """Cleaning puts every setting back, the lease too; the environment knows it."""
    database = environment()
    work(database)
    with database.autocommit() as connection:
        connection.execute(text("set work_mem = '5MB'"))
        session = session_of(connection)
        assert session.lease_s == 300
    assert session.lease_s == 2
    with database.autocommit() as connection:
        assert connection.scalar(text("show idle_session_timeout")) == "2s"


def session_of(connection: Connection) -> DriverConnection:
    return cast("DriverConnection", connection.connection.dbapi_connection)


def test_a_session_that_takes_the_place_of_one_that_was_lost_brings_its_own_lease(
    environment: Callable[..., Database], server: PostgresServer
) -> None:
    """What the other one was granted is nothing to it, also where no commit asks for another."""
    database = environment()
    work(database)
    time.sleep(LOOK_EVERY_S)
    with pytest.raises(KeyError), database.transaction() as connection:
        session = session_of(connection)
        assert session.lease_s == 300
        end_sessions(server)
        assert connection.scalar(text("show idle_session_timeout")) == "2s"
        raise KeyError("rolled back")
    assert session.lease_s == 2


def end_sessions(server: PostgresServer) -> None:
    with psycopg.connect(server.url(), autocommit=True) as admin:
        admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'")
    wait_until(lambda: connected(server) == 0)


def test_without_a_pool_nothing_is_counted_or_leased(environment: Callable[..., Database], facts: Facts) -> None:
    """NullPool gives each slot back with the borrow: there is nothing to decide."""
    database = environment(pool_size=0)
    with database.autocommit() as connection:
        assert connection.scalar(text("show idle_session_timeout")) == "0"
    assert facts[0].slots.usable is None


def test_behind_a_pooler_that_takes_no_leases_nothing_rides(environment: Callable[..., Database]) -> None:
    """A pooler refuses startup parameters; a SET through it would hit somebody else's session."""
    database = environment()
    with database.engine.connect() as connection:
        address = connection.connection.dbapi_connection._address  # type: ignore[union-attr]  # ours has one
    database.close()
    database._connector._habits.refuse_parameters.add(str(address))
    with database.engine.connect() as connection:
        assert connection.connection.dbapi_connection.behind_commit is nobody  # type: ignore[union-attr]  # ours has one
        assert connection.scalar(text("show idle_session_timeout")) == "0"
