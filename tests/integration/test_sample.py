"""The statement that counts slots and grants leases, asked of a real server."""

import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from db.fleet.census import USED_AGAIN_AFTER_S, Limit, Sample, at_work
from db.fleet.policy import lease_s
from db.fleet.sample import UNKNOWN, Counted, Terms, read, statement
from local.postgres import PostgresServer
from tests.integration.quiet import wait_until_quiet

PASSWORD = secrets.token_urlsafe()
NOW = 100.0


@pytest.fixture(scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """Twenty slots, four of them reserved; `app` may have eight."""
    settings = {"max_connections": "20", "superuser_reserved_connections": "4"}
    directory: Path = tmp_path_factory.mktemp("slots") / "data"
    with PostgresServer(directory, PASSWORD, settings=settings) as server:
        with psycopg.connect(server.url(), autocommit=True) as admin:
            admin.execute(f"create role app login password '{PASSWORD}' connection limit 8")
        yield server


@pytest.fixture
def server(_server: PostgresServer) -> PostgresServer:
    """The same, when nobody is connected any more: what is counted is the test's own."""
    wait_until_quiet(_server)
    return _server


def look(
    connection: psycopg.Connection,
    terms: Terms = UNKNOWN,
    fleet_slots: int | None = None,
    most: int | None = None,
    before: Sample | None = None,
) -> Counted:
    row = connection.execute(statement(terms, 2.0, fleet_slots, most, before, NOW).encode()).fetchone()
    assert row is not None
    return read(row, NOW)


def app(server: PostgresServer) -> psycopg.Connection:
    return psycopg.connect(server.url("app", PASSWORD), autocommit=True)


def test_server_and_role_are_counted_against_their_own_limits(server: PostgresServer) -> None:
    """Others' connections count against the server's slots, ours against the role's too; reserved ones are nobody's."""
    with ExitStack() as stack:
        others = [stack.enter_context(psycopg.connect(server.url())) for _ in range(3)]
        ours = [stack.enter_context(app(server)) for _ in range(2)]
        counted = look(ours[0])
        assert counted.sample.limits == (Limit(len(others) + len(ours), 16), Limit(len(ours), 8))
        assert counted.sample.tightest == Limit(2, 8)
        assert counted.sample.of_role == len(ours)


def test_what_was_found_once_need_not_be_asked_again(server: PostgresServer) -> None:
    """With the limits and oids written into the statement it counts the same."""
    with app(server) as connection:
        first = look(connection)
        again = look(connection, first.terms)
        assert again.sample.limits == first.sample.limits
        assert again.terms == first.terms
        assert "select" not in repr(first.terms)


def test_the_fleets_own_share_is_a_limit_too(server: PostgresServer) -> None:
    """Where the settings leave less than the server's limits, that counts."""
    with app(server) as connection:
        assert look(connection, fleet_slots=3).sample.limits[-1] == Limit(1, 3)
        assert look(connection, fleet_slots=300).sample.limits[-1] == Limit(1, 8)


def test_new_sessions_are_seen(server: PostgresServer) -> None:
    """Who connects after a sample shows in the next one."""
    with app(server) as connection:
        before = look(connection).sample.sessions
        for _ in range(3):
            app(server).close()
        after = before
        while after < before + 3:  # a session is counted when it ends, which nobody waits for
            after = look(connection).sample.sessions
        assert after == before + 3


def test_connections_that_were_just_opened_are_newcomers(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The role's own, but not the one that looks; after a while they are not new any more."""
    monkeypatch.setattr("db.fleet.sample.NEW_FOR_S", 60)
    with ExitStack() as stack:
        connections = [stack.enter_context(app(server)) for _ in range(4)]
        assert look(connections[0]).sample.newcomers == 3
        monkeypatch.setattr("db.fleet.sample.NEW_FOR_S", 0.5)
        time.sleep(0.6)
        assert look(connections[0]).sample.newcomers == 0


def test_connections_that_are_used_again_are_told_from_those_that_were_opened_and_left(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of four are used a while after they were opened; the other two, and the one that looks, do not count."""
    monkeypatch.setattr("db.fleet.sample.USED_LATELY_S", 60)
    monkeypatch.setattr("db.fleet.sample.USED_AGAIN_AFTER_S", 3)
    with ExitStack() as stack:
        connections = [stack.enter_context(app(server)) for _ in range(5)]
        for connection in connections:
            connection.execute("select 1")
        time.sleep(3.1)
        for connection in connections[:3]:
            connection.execute("select 1")
        assert look(connections[0]).sample.reused == 2
        monkeypatch.setattr("db.fleet.sample.USED_LATELY_S", 0.5)
        time.sleep(0.6)
        assert look(stack.enter_context(app(server))).sample.reused == 0


def test_the_time_at_work_is_seen(server: PostgresServer) -> None:
    """Statements and pauses in transactions count; the server adds them up when a connection ends at the latest."""
    with app(server) as looking:
        before = look(looking).sample.worked_s
        with app(server) as connection, connection.transaction():
            connection.execute("select pg_sleep(0.5)")
            time.sleep(1)
        give_up_at = time.monotonic() + 5
        while look(looking).sample.worked_s < before + 1.5:
            assert time.monotonic() < give_up_at
            time.sleep(0.02)


@pytest.mark.parametrize(
    ("busy", "used_again", "most", "leases_s"),
    [
        (None, False, None, {2.0, 300.0}),
        (None, True, None, {2.0, 30.0, 300.0}),
        (0.0, True, None, {2.0, 30.0, 300.0}),
        (0.8, False, None, {2.0, 300.0}),
        (0.8, True, None, {2.0, 30.0, 300.0}),
        (None, True, 9, {2.0, 30.0, 300.0}),
        (0.0, False, 8, {2.0, 300.0}),
        (0.0, True, 8, {300.0}),
        (0.8, True, 8, {2.0, 300.0}),
    ],
)
def test_the_server_grants_the_lease_that_the_policy_says(
    server: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
    busy: float | None,
    used_again: bool,  # noqa: FBT001 - a table's column
    most: int | None,
    leases_s: set[float],
) -> None:
    """With any number of slots taken the lease in force is policy.lease_s of what the same statement counted."""
    monkeypatch.setattr("db.fleet.sample.USED_LATELY_S", 60)
    monkeypatch.setattr("db.fleet.sample.USED_AGAIN_AFTER_S", USED_AGAIN_AFTER_S if used_again else 60)
    granted = set()
    with ExitStack() as stack:
        connections = [stack.enter_context(app(server)) for _ in range(8)]
        time.sleep(USED_AGAIN_AFTER_S if used_again else 0)
        for connection in connections:
            connection.execute("select 1")
        while connections:
            before = None if busy is None else _busy_since_then(connections[-1], busy)
            counted = look(connections[-1], most=most, before=before)
            in_force = connections[-1].execute("select setting from pg_settings where name = 'idle_session_timeout'")
            assert in_force.fetchone() == (f"{counted.lease_s * 1000:.0f}",)
            assert counted.lease_s == lease_s(counted.sample, at_work(before, counted.sample), 2.0, most)
            granted.add(counted.lease_s)
            connections.pop().close()
            _wait_until_used(server, len(connections))
    assert granted == leases_s


def _busy_since_then(connection: psycopg.Connection, busy: float) -> Sample:
    """Return a sample of ten seconds ago, since when `busy` have been at work."""
    sample = look(connection).sample
    return replace(sample, seen_at=NOW - 10, worked_s=sample.worked_s - busy * 10)


def _wait_until_used(server: PostgresServer, slots: int) -> None:
    give_up_at = time.monotonic() + 10
    with psycopg.connect(server.url(), autocommit=True) as admin:
        while _used(admin) > slots:
            assert time.monotonic() < give_up_at
            time.sleep(0.02)


def _used(admin: psycopg.Connection) -> int:
    counted = admin.execute("select count(*) from pg_stat_activity where usename = 'app'").fetchone()
    assert counted is not None
    number: int = counted[0]
    return number
