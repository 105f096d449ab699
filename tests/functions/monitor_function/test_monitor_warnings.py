"""What the monitor function warns of, with each condition made real."""

import json
import re
import time
from collections.abc import Callable

import psycopg

from local.postgres import PostgresServer
from tests.faults.server import backends, run, wait_until
from tests.functions.monitor_function.conftest import OURS, Look


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
