"""What the monitor function counts on a server, and what schedules it takes."""

from collections.abc import Callable

import psycopg
import pytest
from pydantic import ValidationError

from db import SaturatedError
from local.postgres import PostgresServer
from tests.functions.monitor_function.conftest import OURS, Look, extra
from tests.integration.workers import parallel_workers


def test_a_quiet_server_is_counted_and_nothing_is_wrong(look: Look) -> None:
    """One answer, one line, one record of metrics; all that the dashboard and the alarms look at."""
    seen = look()
    assert seen.answer == {"warnings": [], "ended": 0}
    assert seen.metrics["ServerSlotsUsable"] == 10
    assert seen.metrics["ServerSlotsUsed"] >= 1
    quiet = (
        "BlockedSessions",
        "ServerSlowStatements",
        "FullScans",
        "SessionsEnded",
        "OldestTransaction",
        "LongestStatement",
    )
    assert [seen.metrics[name] for name in quiet] == [0] * len(quiet)
    assert seen.metrics["TransactionIdAge"] > 0
    assert (seen.line.levelname, extra(seen, "survey")["database"]) == ("INFO", "postgres")


def test_connections_are_told_by_role_state_and_function(
    look: Look, session: Callable[..., psycopg.Connection]
) -> None:
    """An environment's own part of application_name is no dimension: there are too many."""
    session("app", f"{OURS}:7:0123456789ab", autocommit=True)
    session("app", f"{OURS}:7:ba9876543210")
    session("stranger", "psql", autocommit=True)
    seen = look().connections
    assert seen == {
        ("role", "app"): 2,
        ("role", "stranger"): 1,
        ("state", "idle"): 2,
        ("state", "idle in transaction"): 1,
        ("application", OURS): 2,
        ("application", "psql"): 1,
    }


def test_the_servers_own_processes_hold_no_slot(
    look: Look, server: PostgresServer, session: Callable[..., psycopg.Connection]
) -> None:
    """A statement with parallel workers takes one slot, its client's: the monitor's and the superuser's come to it."""
    with psycopg.connect(server.url(), application_name="test", autocommit=True) as superuser:
        before = look().metrics["ServerSlotsUsed"]
        with parallel_workers(session("app", OURS), superuser):
            assert look().metrics["ServerSlotsUsed"] == before + 1


def test_slots_that_run_out_are_a_warning(look: Look, session: Callable[..., psycopg.Connection]) -> None:
    """Above the share that is allowed, as the limit of ordinary roles counts them."""
    for _ in range(7):
        session("app", OURS, autocommit=True)
    seen = look(slots_share=0.75)
    assert (seen.metrics["ServerSlotsUsed"], seen.metrics["ServerSlotsUsable"]) == (8, 10)
    assert seen.answer["warnings"] == ["8 of 10 slots are taken"]
    assert look(slots_share=0.85).answer["warnings"] == []


def test_a_full_server_refuses_the_monitor_too_where_no_slot_is_kept_for_it(
    look: Look, session: Callable[..., psycopg.Connection]
) -> None:
    """A failed run, which an alarm looks at. With a slot of its own it looks: tests/provision/test_monitoring.py."""
    for _ in range(10):
        session("app", OURS, autocommit=True)
    with pytest.raises(SaturatedError):
        look()


def test_a_schedule_that_is_mistyped_is_refused(look: Look) -> None:
    """Rather than watched with defaults."""
    with pytest.raises(ValidationError, match="function"):
        look(function=[OURS])


def test_a_plain_scheduled_event_is_taken_with_the_defaults(look: Look) -> None:
    """EventBridge's own form, as a rule without an input sends it."""
    assert look(source="aws.events", detail={}).answer["ended"] == 0
