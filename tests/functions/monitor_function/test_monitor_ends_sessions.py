"""What a dead environment has left behind is ended by the monitor function; nothing else is."""

import time
from collections.abc import Callable

import psycopg

from local.postgres import PostgresServer
from tests.faults.server import run
from tests.functions.monitor_function.conftest import OURS, Look, extra, is_alive


def test_a_dead_environments_transaction_is_ended(
    look: Look, server: PostgresServer, session: Callable[..., psycopg.Connection]
) -> None:
    """With its locks: of ours, by role and function, what is older than any function runs. Nobody else's."""
    run(server, "create table if not exists held (n int); grant all on held to app, stranger")
    dead = session("app", f"{OURS}:7:0123456789ab")
    dead.execute("lock table held in row exclusive mode")
    clone = session("app_clone", f"{OURS}:7:0123456789ab")
    others = [
        session("stranger", f"{OURS}:7:0123456789ab"),
        session("app", "slotwise-records-of-another-stack:7:0123456789ab"),
        session("app", "psql"),
    ]
    idle = session("app", f"{OURS}:7:ba9876543210", autocommit=True)
    time.sleep(2.2)
    young = session("app", f"{OURS}:7:abcdefabcdef")
    watch = {"functions": [OURS], "role": "app", "longest_function_s": 2}
    seen = look(**watch)
    assert (seen.answer["ended"], seen.metrics["SessionsEnded"]) == (2, 2)
    assert "longer than any function runs" in seen.answer["warnings"][0]
    assert seen.metrics["OldestTransaction"] > 2
    left = [(each["ended"], each["role"], each["state"]) for each in extra(seen, "left_behind")]
    assert left == [(True, role, "idle in transaction") for role in ("app", "app_clone")]
    assert not is_alive(dead)
    assert not is_alive(clone)
    assert all(is_alive(other) for other in (*others, idle, young))


def test_nobody_is_ended_unless_functions_are_named(look: Look, session: Callable[..., psycopg.Connection]) -> None:
    """Who only looks does no harm."""
    held = session("app", f"{OURS}:7:0123456789ab")
    time.sleep(0.3)
    assert look(longest_function_s=0.2, role="app").answer["ended"] == 0
    assert is_alive(held)


def test_without_the_right_to_end_a_session_the_rest_is_still_told(
    look: Look, server: PostgresServer, session: Callable[..., psycopg.Connection]
) -> None:
    """And so is what to grant."""
    run(server, "revoke pg_signal_backend from watcher")
    held = session("app", f"{OURS}:7:0123456789ab")
    time.sleep(0.3)
    seen = look(functions=[OURS], role="app", longest_function_s=0.2)
    run(server, "grant pg_signal_backend to watcher")
    assert (seen.answer["ended"], extra(seen, "left_behind")[0]["ended"]) == (0, False)
    assert seen.answer["warnings"][1] == "1 sessions of dead environments stay: grant pg_signal_backend to watcher"
    assert is_alive(held)
