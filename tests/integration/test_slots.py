"""Environments that share few slots: each a Database of its own on one real server."""

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest
from sqlalchemy import Connection, text

from db import Borrow, ConnectionLostError, Database, DatabaseSettings, SaturatedError, Tls
from db.fleet.census import NEW_FOR_S
from db.fleet.lookout import LOOK_EVERY_S
from db.observation import Silence
from db.protocol.connection import Connection as Session
from db.protocol.riders import nobody
from local.postgres import PostgresServer
from tests.faults.proxy import Proxy

PASSWORD = secrets.token_urlsafe()
SLOTS = 10


class Facts(list[Borrow], Silence):
    """An observer that keeps the borrows."""

    def borrowed(self, borrow: Borrow) -> None:
        self.append(borrow)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """Ten slots for `app`, and five that only superusers get."""
    settings = {"max_connections": str(SLOTS + 5), "superuser_reserved_connections": "5"}
    directory: Path = tmp_path_factory.mktemp("fleet") / "data"
    with PostgresServer(directory, PASSWORD, settings=settings) as server:
        with psycopg.connect(server.url(), autocommit=True) as admin:
            admin.execute(f"create role app login password '{PASSWORD}'")
        yield server


@pytest.fixture
def facts() -> Facts:
    return Facts()


@pytest.fixture
def environment(server: PostgresServer, facts: Facts) -> Iterator[Callable[..., Database]]:
    """Make environments whose facts go to `facts`; all their connections are closed, and gone, after the test."""
    made: list[Database] = []

    def make(**settings: Any) -> Database:  # noqa: ANN401 - the test names the fields
        options: dict[str, Any] = {"url": server.url("app", PASSWORD), "tls": Tls.INSECURE_LOCAL_ONLY, **settings}
        made.append(Database(DatabaseSettings(**options), observer=facts))
        return made[-1]

    yield make
    for database in made:
        database.close()
    wait_until(lambda: connected(server) == 0)


def connected(server: PostgresServer) -> int:
    with psycopg.connect(server.url(), autocommit=True) as admin:
        counted = admin.execute("select count(*) from pg_stat_activity where usename = 'app'").fetchone()
    assert counted is not None
    number: int = counted[0]
    return number


def wait_until(is_so: Callable[[], bool], at_most_s: float = 10) -> None:
    give_up_at = time.monotonic() + at_most_s
    while not is_so():
        assert time.monotonic() < give_up_at
        time.sleep(0.02)


def work(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(text("select :n"), {"n": 1})


@pytest.fixture
def take(server: PostgresServer) -> Iterator[Callable[[int], list[psycopg.Connection]]]:
    """Take so many slots from everybody."""
    with ExitStack() as stack:

        def taken(slots: int) -> list[psycopg.Connection]:
            url = server.url("app", PASSWORD)
            return [stack.enter_context(psycopg.connect(url, autocommit=True)) for _ in range(slots)]

        yield taken


@pytest.fixture
def crowded(take: Callable[[int], object]) -> int:
    """Take more than half of the slots, long enough ago that nobody expects more: leases are the shortest."""
    taken = SLOTS // 2
    take(taken)
    time.sleep(NEW_FOR_S)
    return taken


def test_while_there_is_room_no_environment_opens_more_than_its_first_connection(
    environment: Callable[..., Database], facts: Facts, server: PostgresServer
) -> None:
    """Five environments, ten slots, twenty rounds: five connections, none given back, none refused."""
    fleet = [environment() for _ in range(5)]
    for _ in range(20):
        for database in fleet:
            work(database)
    assert sum(borrow.opened for borrow in facts) == 5
    assert not any(borrow.slots.released or borrow.slots.refusals for borrow in facts)
    assert connected(server) == 5


def test_a_slot_that_others_need_is_given_back_with_the_borrow(
    environment: Callable[..., Database], facts: Facts, take: Callable[[int], object], server: PostgresServer
) -> None:
    """While others come and few slots are free the connection is closed on return, and the reason is told."""
    take(SLOTS - 2)
    database = environment(lease_s=30)
    work(database)
    assert [borrow.slots.released for borrow in facts] == ["slots needed"]
    assert (facts[0].slots.used, facts[0].slots.usable) == (SLOTS - 1, SLOTS)
    wait_until(lambda: connected(server) == SLOTS - 2)


def test_a_full_server_of_which_nobody_wants_more_keeps_its_connections(
    environment: Callable[..., Database], facts: Facts
) -> None:
    """One environment fewer than slots: after a while every one has its connection for good."""
    fleet = [environment() for _ in range(SLOTS - 1)]

    def has_settled() -> bool:
        began = len(facts)
        for _ in range(5):
            for database in fleet:
                work(database)
            time.sleep(0.3)
        return not any(borrow.opened or borrow.slots.released for borrow in facts[began:])

    wait_until(has_settled, at_most_s=30)


def test_an_environment_that_finds_no_slot_waits_for_one(
    environment: Callable[..., Database], facts: Facts, take: Callable[[int], list[psycopg.Connection]]
) -> None:
    """A slot that becomes free while it waits is had; it gives it back at once, for it knows that slots are scarce."""
    holders = take(SLOTS)
    timer = threading.Timer(0.3, holders[0].close)
    timer.start()
    work(environment(slot_wait_s=60))
    timer.join()
    assert facts[0].slots.refusals > 0
    assert facts[0].slots.waited_ms > 0
    assert facts[0].slots.released == "refused lately"


def test_an_environment_that_gets_no_slot_says_so_in_time(
    environment: Callable[..., Database], facts: Facts, take: Callable[[int], object]
) -> None:
    """A typed error with a Retry-After, before patience or the invocation ends."""
    take(SLOTS)
    for remaining_ms, at_most_s in ((10_000, 0.5), (300, 0.3)):
        database = environment(slot_wait_s=0.5, reserve_s=0)
        began = time.monotonic()
        with pytest.raises(SaturatedError) as caught, database.invocation(remaining_ms):
            work(database)
        assert time.monotonic() - began < at_most_s + 2
        assert 1 <= caught.value.retry_after_s <= 5
        assert facts[-1].failure == "saturated"
        assert facts[-1].slots.refusals > 0


def test_an_administrator_can_log_in_when_the_fleet_has_all_slots(
    take: Callable[[int], object], server: PostgresServer
) -> None:
    """The reserved slots are never the fleet's."""
    take(SLOTS)
    assert connected(server) == SLOTS


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
    environment: Callable[..., Database], facts: Facts, crowded: int, server: PostgresServer
) -> None:
    """However long the last pause is ago: only what idles between two borrows has a lease."""
    database = environment(lease_s=1.0)
    work(database)
    with pytest.raises(ConnectionLostError), database.transaction() as connection:
        process = connection.scalar(text("select pg_backend_pid()"))
        time.sleep(1.1)
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
    for hundredths in range(95, 160, 8):
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


def test_autocommit_borrows_are_counted_and_leased_too(environment: Callable[..., Database], facts: Facts) -> None:
    """Each statement of its own brings the sample home, once a second at most."""
    database = environment()
    for _ in range(3):
        with database.autocommit() as connection:
            assert connection.scalar(text("select 1")) == 1
    assert [borrow.slots.usable for borrow in facts] == [SLOTS, None, None]
    with database.autocommit() as connection:
        assert connection.scalar(text("show idle_session_timeout")) == "5min"


def test_counting_the_server_costs_no_flight(
    environment: Callable[..., Database], facts: Facts, server: PostgresServer
) -> None:
    """A borrow that brings a sample home takes as many flights as one that does not: two for a transaction."""
    with Proxy(server.port) as proxy:
        database = environment(port=proxy.port)
        flights = []
        for pause_s in (0, 0, 1.1, 0):
            time.sleep(pause_s)
            before = proxy.traffic()
            work(database)
            flights.append((proxy.traffic() - before).flights)
        database.close()
    assert [borrow.slots.usable is not None for borrow in facts] == [True, False, True, False]
    assert flights[1:] == [2, 2, 2]


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


def session_of(connection: Connection) -> Session:
    return cast("Session", connection.connection.dbapi_connection)


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
