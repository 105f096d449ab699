"""The kit's PostgreSQL in trouble says what a real one in that trouble says."""

from pathlib import Path

import pytest
from psycopg import OperationalError
from psycopg.errors import ReadOnlySqlTransaction

from local.postgres import PostgresServer
from tests.faults.server import (
    ORDINARY,
    Full,
    admin,
    backends,
    crash_backend,
    filled,
    logs_in,
    make_read_only,
    ordinary_url,
    promote,
    rows,
    run,
    standby_of,
    terminate,
    wait_until,
)


@pytest.mark.parametrize("what", Full)
def test_a_full_server_says_53300_in_its_own_words(fault_server: PostgresServer, what: Full) -> None:
    """Each kind of fullness is the one that its name says, and ends when it is freed."""
    with filled(fault_server, what) as free:
        with pytest.raises(OperationalError, match=what.value):
            admin(fault_server, ORDINARY)
        free()
        wait_until(lambda: logs_in(fault_server, ORDINARY))


def test_a_terminated_session_is_gone(fault_server: PostgresServer) -> None:
    """`terminate` ends whom it names and returns when they are gone."""
    ordinary_url(fault_server)
    with admin(fault_server, ORDINARY):
        assert terminate(fault_server, f"usename = '{ORDINARY}'") == 1
    assert not backends(fault_server, f"usename = '{ORDINARY}'")


def test_a_crashed_backend_takes_the_others_with_it(fault_server: PostgresServer) -> None:
    """One backend's SIGKILL resets every session, and the server comes back by itself."""
    with admin(fault_server) as bystander:
        crash_backend(fault_server)
        with pytest.raises(OperationalError):
            rows(bystander, "select 1")
    fault_server.wait_until_ready()
    assert run(fault_server, "select 1") == [(1,)]


def test_a_read_only_server_refuses_writes_and_recovers(fault_server: PostgresServer) -> None:
    """New transactions are read-only, also in sessions that are there."""
    with admin(fault_server) as session:
        make_read_only(fault_server)
        wait_until(lambda: rows(session, "show default_transaction_read_only") == [("on",)])
        with pytest.raises(ReadOnlySqlTransaction):
            rows(session, "create table t (n int)")
        make_read_only(fault_server, read_only=False)


def test_a_standby_follows_and_can_be_promoted(fault_server: PostgresServer, tmp_path: Path) -> None:
    """It has what the primary has, takes no writes, and does when it is promoted."""
    with standby_of(fault_server, tmp_path / "standby") as standby:
        assert run(standby, "select pg_is_in_recovery()") == [(True,)]
        promote(standby)
        run(standby, "create table written (n int)")
