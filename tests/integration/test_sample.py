"""The statement that counts slots and grants leases, asked of a real server."""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from db.fleet.policy import Limit, lease_s
from db.fleet.sample import UNKNOWN, Counted, Terms, read, statement
from local.postgres import PostgresServer

PASSWORD = secrets.token_urlsafe()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """Twenty slots, four of them reserved; `app` may have eight."""
    settings = {"max_connections": "20", "superuser_reserved_connections": "4"}
    directory: Path = tmp_path_factory.mktemp("slots") / "data"
    with PostgresServer(directory, PASSWORD, settings=settings) as server:
        with psycopg.connect(server.url(), autocommit=True) as admin:
            admin.execute(f"create role app login password '{PASSWORD}' connection limit 8")
        yield server


def look(connection: psycopg.Connection, terms: Terms = UNKNOWN, fleet_slots: int | None = None) -> Counted:
    row = connection.execute(statement(terms, 2.0, fleet_slots).encode()).fetchone()
    assert row is not None
    return read(row, 100.0, 2.0)


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


@pytest.mark.parametrize("taken", range(1, 9))
def test_the_server_grants_the_lease_that_the_policy_says(server: PostgresServer, taken: int) -> None:
    """The lease in force on the connection is fleet.lease_s of what the same statement counted."""
    with ExitStack() as stack:
        connections = [stack.enter_context(app(server)) for _ in range(taken)]
        counted = look(connections[-1])
        assert counted.sample.share == pytest.approx(taken / 8)
        in_force = connections[-1].execute("select setting from pg_settings where name = 'idle_session_timeout'")
        assert in_force.fetchone() == (str(int(lease_s(taken / 8, 2.0) * 1000)),)
        assert counted.lease_s == lease_s(taken / 8, 2.0)
