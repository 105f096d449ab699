"""The monitor function against a server of its own, with each condition made real."""

import json
import logging
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import psycopg
import pytest
from pydantic import ValidationError

from db import SaturatedError
from local.binaries import counts_statements
from local.postgres import PostgresServer
from tests.faults.proxy import Proxy
from tests.faults.server import backends, run, wait_until
from tests.faults.tls import Authority
from tests.functions.conftest import Context
from tests.integration.workers import parallel_workers

OURS = "slotwise-records"
FLIGHTS_OF_A_RUN = 5


@dataclass
class Told:
    """What a run said: its answer, its metrics (those of all sessions by name), its line in the log."""

    answer: dict[str, Any]
    metrics: dict[str, float]
    connections: dict[tuple[str, str], float]
    line: logging.LogRecord


Look = Callable[..., Told]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A small server with a role for the application and one for the monitor, with the rights that it should have."""
    statements = available(tmp_path_factory)
    settings = {"max_connections": "12", "superuser_reserved_connections": "2", **statements}
    folder = tmp_path_factory.mktemp("watched")
    wanted = PostgresServer(folder / "data", secrets.token_urlsafe(), settings=settings)
    wanted.certificate = Authority(folder).certificate("localhost") if wanted.has_tls else None
    with wanted as server:
        for role in ("app", "app_clone", "stranger", "watcher"):
            run(server, f"create role {role} login password '{server.password}'")
            run(server, f"grant create on schema public to {role}")
        run(server, "grant pg_monitor, pg_signal_backend to watcher")
        if statements:
            run(server, "create schema statistics; grant usage on schema statistics to watcher")
            run(server, "create extension pg_stat_statements schema statistics")
        yield server


def available(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the settings that load pg_stat_statements, where these binaries come with it."""
    binaries = PostgresServer(tmp_path_factory.mktemp("asked") / "data", "none").binaries
    return {"shared_preload_libraries": "pg_stat_statements"} if counts_statements(binaries) else {}


@pytest.fixture
def proxy(server: PostgresServer) -> Iterator[Proxy]:
    # A TLS server sends its tickets as it likes: they must not look like the answer to half of a flight.
    with Proxy(server.port, settle_s=0.05) as running:
        yield running


@pytest.fixture
def look(
    fresh: Callable[..., ModuleType],
    server: PostgresServer,
    proxy: Proxy,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Iterator[Look]:
    """Run the monitor as `watcher` in one environment, with this schedule's input.

    Each run within five flights, login included, and over TLS where the server's binaries have it.
    """
    usual = {"DATABASE_URL": server.url("watcher"), "DB_PORT": str(proxy.port), "DB_POOL_SIZE": "0"}
    module = fresh("monitor", **usual, **way_to(server), DB_SLOT_WAIT_S="0.2")

    def run_once(**watch: Any) -> Told:  # noqa: ANN401 - the fields of Watch
        capsys.readouterr()
        logged = len(caplog.records)
        before = proxy.traffic()
        answer = module.handler(watch, Context(function_name="slotwise-monitor"))
        assert (proxy.traffic() - before).flights <= FLIGHTS_OF_A_RUN
        (line,) = (record for record in caplog.records[logged:] if record.message == "server")
        return Told(answer, *measured(capsys.readouterr().out), line)

    yield run_once
    wait_until(lambda: not backends(server, "usename <> 'postgres'"))


def way_to(server: PostgresServer) -> dict[str, str]:
    """Return what it takes to be sure of the server, or to do without where it has no TLS."""
    if server.certificate is None:
        return {"DB_TLS": "insecure-local-only"}
    return {"DB_HOST": "localhost", "DB_TLS_CA": str(server.certificate.with_name("authority.pem"))}


def measured(out: str) -> tuple[dict[str, float], dict[tuple[str, str], float]]:
    """Read EMF as CloudWatch does: the metrics of the run, and Connections by dimension and its value."""
    metrics: dict[str, float] = {}
    connections: dict[tuple[str, str], float] = {}
    for record in (json.loads(line) for line in out.splitlines() if '"_aws"' in line):
        (directive,) = record["_aws"]["CloudWatchMetrics"]
        (dimensions,) = directive["Dimensions"]
        found = {metric["Name"]: value_of(record[metric["Name"]]) for metric in directive["Metrics"]}
        if "Connections" in found:
            (dimension,) = set(dimensions) - {"service"}
            connections[dimension, record[dimension]] = found["Connections"]
        else:
            assert set(dimensions) == {"service", "function_name"}
            metrics |= found
    return metrics, connections


def value_of(value: Any) -> float:  # noqa: ANN401 - a number, or a list of one
    number: float = value[0] if isinstance(value, list) else value
    return number


@pytest.fixture
def session(server: PostgresServer) -> Iterator[Callable[..., psycopg.Connection]]:
    """Open sessions as somebody, in a transaction unless told otherwise."""
    with ExitStack() as stack:

        def begin(user: str, application: str, *, autocommit: bool = False) -> psycopg.Connection:
            opened = psycopg.connect(server.url(user), application_name=application, autocommit=autocommit)
            stack.callback(opened.close)
            opened.execute("select 1")
            return opened

        yield begin


def extra(seen: Told, name: str) -> Any:  # noqa: ANN401 - JSON
    return vars(seen.line)[name]


def is_alive(session: psycopg.Connection) -> bool:
    try:
        session.execute("select 1")
    except psycopg.OperationalError:
        return False
    return True


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
    with psycopg.connect(server.url(), autocommit=True) as superuser:
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
    time.sleep(0.6)
    young = session("app", f"{OURS}:7:abcdefabcdef")
    watch = {"functions": [OURS], "role": "app", "longest_function_s": 0.5}
    seen = look(**watch)
    assert (seen.answer["ended"], seen.metrics["SessionsEnded"]) == (2, 2)
    assert "longer than any function runs" in seen.answer["warnings"][0]
    assert seen.metrics["OldestTransaction"] > 0.5
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


def test_a_blocked_session_and_a_long_statement_are_seen(
    look: Look, server: PostgresServer, session: Callable[..., psycopg.Connection]
) -> None:
    """Who waits for a lock, and for how long a statement has been running."""
    run(server, "create table if not exists held (n int); grant all on held to app, stranger")
    session("stranger", "psql").execute("lock table held")
    waits = session("app", OURS)
    waits.pgconn.send_query(b"select * from held")
    wait_until(lambda: backends(server, "wait_event_type = 'Lock'"))
    time.sleep(0.3)
    seen = look(longest_statement_s=0.2)
    assert seen.metrics["BlockedSessions"] == 1
    assert seen.metrics["LongestStatement"] > 0.2
    statement, locks = seen.answer["warnings"]
    assert re.fullmatch(r"a statement runs for \d+ s now, over 0\.2 s", statement)
    assert locks == "1 sessions wait for locks"


def test_rows_that_nobody_cleans_are_seen(look: Look, server: PostgresServer) -> None:
    """Dead rows in a big table, and transaction ids that come near to their end."""
    run(server, "create table dirty (n int) with (autovacuum_enabled = off)")
    run(server, "insert into dirty select generate_series(1, 1000)")
    run(server, "update dirty set n = -n")
    wait_until(lambda: run(server, "select n_dead_tup from pg_stat_user_tables where relname = 'dirty'") == [(1000,)])
    age = look().metrics["TransactionIdAge"]
    seen = look(big_table_rows=1000, transaction_id_age=age - 1)
    run(server, "drop table dirty")
    assert seen.metrics["DeadRows"] >= 1000
    assert "transactions old: VACUUM must freeze them" in seen.answer["warnings"][0]
    assert "1000 of 2000 rows of public.dirty are dead" in seen.answer["warnings"][1]


def test_a_big_table_that_is_read_as_a_whole_is_named(look: Look, server: PostgresServer) -> None:
    """Since the last look, so that an old scan is told once; a small table is nobody's business."""
    run(server, "create table big as select generate_series(1, 1000) as n")
    run(server, "create table small as select generate_series(1, 10) as n")
    run(server, "analyze big")
    watch = {"big_table_rows": 1000}
    assert look(**watch).metrics["FullScans"] == 0
    for scan in ("table big", "table big", "table small"):
        run(server, scan)
    scans = "select sum(seq_scan)::int from pg_stat_user_tables where relname = 'big'"
    wait_until(lambda: run(server, scans)[0][0] >= 2)
    seen = look(**watch)
    assert seen.metrics["FullScans"] == 2
    (warning,) = seen.answer[
        "warnings"
    ]  # the rows are PostgreSQL's estimate, which ANALYZE and an INSERT may both add to
    assert re.fullmatch(r"public\.big, \d+ rows, was read as a whole 2 times", warning)
    assert look(**watch).answer["warnings"] == []
    run(server, "drop table big, small")


def test_a_statement_that_was_slow_since_the_last_look_is_named(look: Look, server: PostgresServer) -> None:
    """By its id, calls and mean time, where pg_stat_statements is there, in whatever schema; never with a value."""
    counted = bool(run(server, "select 1 from pg_extension where extname = 'pg_stat_statements'"))
    assert [look(slow_statement_ms=100).metrics["ServerSlowStatements"] for _ in range(2)] == [0, 0]
    run(server, "select pg_sleep(0.2), 'canary'")
    seen = look(slow_statement_ms=100)
    assert seen.metrics["ServerSlowStatements"] == int(counted)
    assert all(warning.endswith(" ms on average in 1 calls") for warning in seen.answer["warnings"])
    assert len(seen.answer["warnings"]) == int(counted)
    assert "canary" not in json.dumps(vars(seen.line), default=str)
    assert look(slow_statement_ms=100).metrics["ServerSlowStatements"] == 0


def test_statistics_that_are_taken_away_meanwhile_do_no_harm(look: Look, server: PostgresServer) -> None:
    """They are asked for behind the rest, which is told as ever."""
    look()
    run(server, "drop extension if exists pg_stat_statements")
    assert look().answer["warnings"] == []


def test_a_schedule_that_is_mistyped_is_refused(look: Look) -> None:
    """Rather than watched with defaults."""
    with pytest.raises(ValidationError, match="function"):
        look(function=[OURS])


def test_a_plain_scheduled_event_is_taken_with_the_defaults(look: Look) -> None:
    """EventBridge's own form, as a rule without an input sends it."""
    assert look(source="aws.events", detail={}).answer["ended"] == 0
