"""Few slots are shared: kept while there is room, given back and waited for where there is none; at no cost."""

import time
from collections.abc import Callable

import psycopg
import pytest

from db import Database, SaturatedError
from local.postgres import PostgresServer
from tests.faults.proxy import Proxy
from tests.integration.slots.conftest import SLOTS, Facts, connected, wait_until, work


def test_while_there_is_room_no_environment_opens_more_than_its_first_connection(
    environment: Callable[..., Database], facts: Facts, server: PostgresServer
) -> None:
    """Five environments, ten slots, twenty rounds: five connections, none given back, none refused."""
    fleet = [environment(lease_s=60) for _ in range(5)]
    for _ in range(20):
        for database in fleet:
            work(database)
    assert sum(borrow.opened for borrow in facts) == 5
    assert not any(borrow.slots.released or borrow.slots.refusals for borrow in facts)
    assert connected(server) == 5


def test_a_slot_that_others_need_is_given_back_with_the_borrow(
    environment: Callable[..., Database],
    facts: Facts,
    take: Callable[[int], object],
    server: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While others come and few slots are free the connection is closed on return, and the reason is told."""
    monkeypatch.setattr("db.fleet.sample.NEW_FOR_S", 60)
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
    environment: Callable[..., Database],
    facts: Facts,
    take: Callable[[int], list[psycopg.Connection]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A slot that becomes free while it waits is had; it gives it back at once, for it knows that slots are scarce."""
    holders = take(SLOTS)
    database = environment(slot_wait_s=60)

    def wait(_wait_s: float) -> None:
        holders[0].close()
        time.sleep(0.02)

    monkeypatch.setattr(database._member._queue, "_sleep", wait)
    work(database)
    assert facts[0].slots.refusals > 0
    assert facts[0].slots.waited_ms > 0
    assert facts[0].slots.released == "refused lately"


def test_an_environment_that_gets_no_slot_says_so_in_time(
    environment: Callable[..., Database], facts: Facts, take: Callable[[int], object]
) -> None:
    """A typed error with a Retry-After, before patience or the invocation ends."""
    take(SLOTS)
    for remaining_ms, slot_wait_s, at_most_s in ((10_000, 0.5, 8), (3_000, 60, 8)):
        database = environment(slot_wait_s=slot_wait_s, reserve_s=0)
        began = time.monotonic()
        with pytest.raises(SaturatedError) as caught, database.invocation(remaining_ms):
            work(database)
        assert time.monotonic() - began < at_most_s
        assert 1 <= caught.value.retry_after_s <= 5
        assert facts[-1].failure == "saturated"
        assert facts[-1].slots.refusals > 0


def test_an_administrator_can_log_in_when_the_fleet_has_all_slots(
    take: Callable[[int], object], server: PostgresServer
) -> None:
    """The reserved slots are never the fleet's."""
    take(SLOTS)
    assert connected(server) == SLOTS


def test_counting_the_server_costs_no_flight(
    environment: Callable[..., Database], facts: Facts, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A borrow that brings a sample home takes as many flights as one that does not: two for a transaction."""
    with Proxy(server.port) as proxy:
        database = environment(port=proxy.port)
        flights = []
        for look_every_s in (60, 60, 0, 60):
            monkeypatch.setattr("db.fleet.lookout.LOOK_EVERY_S", look_every_s)
            before = proxy.traffic()
            work(database)
            flights.append((proxy.traffic() - before).flights)
        database.close()
    assert [borrow.slots.usable is not None for borrow in facts] == [True, False, True, False]
    assert flights[1:] == [2, 2, 2]
