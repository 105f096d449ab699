"""Rows 3, 6 and 12: a COMMIT that takes long is waited for, until its session or its time ends."""

import time
from threading import Thread

import pytest

from db import ConnectionLostError, Database, DeadlineExceededError
from local.postgres import PostgresServer
from tests.faults.lost_commits import INSERT, applied
from tests.faults.server import backends, run, terminate, wait_until
from tests.noticing import Noticed

SILENCE_S = 2.0
pytestmark = pytest.mark.usefixtures("lost_commits")


def make_commits_slow(postgres: PostgresServer, seconds: float) -> None:
    """Let each COMMIT of an insert run a deferred trigger."""
    run(
        postgres,
        "create or replace function slow_commit() returns trigger language plpgsql"
        f" as 'begin perform pg_sleep({seconds}); return null; end'",
    )
    run(
        postgres,
        "create constraint trigger slow after insert on lost_commits"
        " deferrable initially deferred for each row execute function slow_commit()",
    )


def test_a_session_that_is_terminated_in_commit_is_resolved(
    proxied: Database, postgres: PostgresServer, noticed: Noticed
) -> None:
    """Row 3: 57P01 while COMMIT runs a deferred trigger: it was not committed, and the handler hears that."""
    make_commits_slow(postgres, seconds=5)
    struck_at = [0.0]

    def terminate_in_commit() -> None:
        wait_until(lambda: backends(postgres, "application_name = 'proxied' and wait_event = 'PgSleep'"))
        struck_at[0] = time.monotonic()
        terminate(postgres, "application_name = 'proxied'")

    terminator = Thread(target=terminate_in_commit)
    terminator.start()
    with pytest.raises(ConnectionLostError), proxied.transaction() as connection:
        connection.execute(INSERT)
    noticed(3, time.monotonic() - struck_at[0], SILENCE_S)
    terminator.join()
    assert applied(postgres) == 0


@pytest.mark.parametrize("silence_s", [1.0])
def test_a_slow_commit_is_waited_for(proxied: Database, postgres: PostgresServer) -> None:
    """Row 12: a COMMIT that takes longer than the bound for silence is asked after, and not ended."""
    make_commits_slow(postgres, seconds=2)
    with proxied.transaction() as connection:
        connection.execute(INSERT)
    assert applied(postgres) == 1


@pytest.mark.parametrize("silence_s", [1.0])
def test_a_commit_slower_than_the_deadline_is_ended(
    proxied: Database, postgres: PostgresServer, noticed: Noticed
) -> None:
    """Row 6: it is known to be undone, in time for an answer."""
    make_commits_slow(postgres, seconds=10)
    with (
        noticed.within(2.5 - proxied.settings.reserve_s, 6),
        pytest.raises((ConnectionLostError, DeadlineExceededError)),
        proxied.invocation(2500),
        proxied.transaction() as connection,
    ):
        connection.execute(INSERT)
    assert applied(postgres) == 0
