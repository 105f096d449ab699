"""Slow statements on a real server: told once, with everything that helps and no value; and what statements carry."""

import json
import logging
import re
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, bindparam, insert, select, text
from sqlalchemy.exc import DBAPIError

from db import Database, DatabaseSettings, SlowStatement, Tls
from db.observation import Silence
from db.protocol import time_limit
from db.protocol.cursor import _numbered
from local.postgres import PostgresServer
from tests.canary import VALUE
from tests.faults.server import run
from tests.functions.conftest import Context, v2_event

THINGS = Table("slow_things", MetaData(), Column("id", Integer, primary_key=True), Column("name", Text))
SLOWLY = text("select pg_sleep(:seconds), cast(:value as text)")
TAGS = {"request_id": "0a1b2c3d", "traceparent": "00-5bd66ef5095369c7b0d1f8f4bd33716a-c532cb4098ac3dd2-01"}


class Facts(list[SlowStatement], Silence):
    """An observer that keeps the slow statements."""

    def slow(self, slow: SlowStatement) -> None:
        self.append(slow)


@pytest.fixture
def facts() -> Facts:
    return Facts()


@pytest.fixture
def slow_statement_ms() -> int:
    """From when on a statement is slow."""
    return 100


@pytest.fixture
def watched(postgres: PostgresServer, facts: Facts, pool_size: int, slow_statement_ms: int) -> Iterator[Database]:
    """A Database that tells slow statements, with a table of three rows; a busy machine may be silent and idle."""
    settings = DatabaseSettings(
        url=postgres.url(),
        tls=Tls.INSECURE_LOCAL_ONLY,
        pool_size=pool_size,
        slow_statement_ms=slow_statement_ms,
        silence_s=20,
        idle_in_transaction_s=20,
    )
    database = Database(settings, observer=facts)
    with database.transaction() as connection:
        THINGS.drop(connection, checkfirst=True)
        THINGS.create(connection)
        connection.execute(insert(THINGS), [{"id": number, "name": VALUE} for number in range(3)])
    facts.clear()
    yield database
    database.close()


def test_a_slow_statement_is_told_with_its_time_and_rows(watched: Database, facts: Facts) -> None:
    """No value is in what is told."""
    with watched.autocommit() as connection:
        connection.execute(SLOWLY, {"seconds": 0.2, "value": VALUE})
    (slow,) = facts
    assert slow.duration_ms >= 200
    assert (slow.rows, slow.failure) == (1, None)
    assert slow.text == "select pg_sleep(?), cast(? as text)"
    assert VALUE not in repr(slow) + slow.statement


@pytest.mark.parametrize("slow_statement_ms", [10_000])
def test_a_fast_statement_is_not_told(watched: Database, facts: Facts) -> None:
    """As long as it takes less than the setting says."""
    with watched.autocommit() as connection:
        connection.execute(select(THINGS)).all()
        connection.execute(SLOWLY, {"seconds": 0.2, "value": VALUE})
    assert not facts


def test_a_statement_that_is_killed_is_told_with_its_sqlstate(
    watched: Database, facts: Facts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slowest ones are those that the deadline ends, here with a small share of the time that is left."""
    monkeypatch.setattr(time_limit, "SHARE", 0.05)
    with pytest.raises(Exception, match="57014"), watched.invocation(10_500), watched.autocommit() as connection:
        connection.execute(SLOWLY, {"seconds": 30, "value": VALUE})
    assert [slow.failure for slow in facts] == ["57014"]


def test_batches_and_lists_are_one_statement(watched: Database, facts: Facts) -> None:
    """However many values there are, as the driver sends them."""
    with watched.transaction() as connection:
        for size in (1, 2, 40):
            found = select(text("pg_sleep(0.11)"), THINGS.c.id).where(THINGS.c.id.in_(range(-size, 1)))
            connection.execute(found)
    assert len(facts) == 3
    assert len({slow.fingerprint for slow in facts}) == 1


PLANS = {
    "select slow_things.id from slow_things where id = $1": ["Index", "slow_things"],
    "select count(*) from slow_things where name = $1 and id > $2": ["Aggregate", "slow_things"],
    "insert into slow_things (id, name) values ($1, $2) returning id": ["ModifyTable on slow_things", "Result"],
    "select name from slow_things where name = 'canary-literal'": ["Seq Scan on slow_things"],
}


@pytest.mark.parametrize("statement", PLANS)
def test_the_plan_is_a_shape_without_values_and_nothing_is_run(watched: Database, statement: str) -> None:
    """Nodes, tables and indexes, as PostgreSQL plans for any value; the session keeps no trace of the question."""
    plan = watched.plan_of(SlowStatement(statement=statement, duration_ms=1))
    for part in PLANS[statement]:
        assert part in "\n".join(plan)
    assert "canary" not in "\n".join(plan)
    assert "One-Time" not in "\n".join(plan)
    with watched.autocommit() as connection:
        assert connection.scalar(text("select count(*) from slow_things")) == 3
        assert connection.scalar(text("select count(*) from pg_prepared_statements")) == 0


def test_what_has_no_plan_is_not_asked_for_one(watched: Database) -> None:
    """A utility statement."""
    assert watched.plan_of(SlowStatement(statement="vacuum slow_things", duration_ms=1)) == []


# --- the comment ---


def seen_by_the_server(database: Database, mode: str, statement: str, values: dict[str, Any]) -> str:
    with database.invocation(10_000, TAGS), getattr(database, mode)() as connection:
        found = connection.execute(text(statement), values).scalar_one()
    return str(found)


@pytest.mark.parametrize("mode", ["transaction", "autocommit"])
@pytest.mark.parametrize("values", [{}, {"n": 1}], ids=["simple", "extended"])
def test_a_statement_carries_request_and_trace(database: Database, mode: str, values: dict[str, Any]) -> None:
    """By either protocol; the server's view of running statements shows it, and its logs."""
    asked = "select query from pg_stat_activity where pid = pg_backend_pid()"
    seen = seen_by_the_server(database, mode, asked + " and :n = 1" if values else asked, values)
    assert seen.endswith(f" /*request_id='0a1b2c3d',traceparent='{TAGS['traceparent']}'*/")


def test_the_comment_is_each_invocations_own_and_fills_no_cache(database: Database) -> None:
    """What is compiled and converted once stays so: the comment comes behind every cache."""
    statement = select(bindparam("n", type_=Integer))
    for number in range(20):
        with database.invocation(10_000, {"request_id": str(number)}), database.autocommit() as connection:
            connection.execute(statement, {"n": number})
        if number == 0:
            converted, compiled = _numbered.cache_info().currsize, len(database.engine._compiled_cache or ())
    assert _numbered.cache_info().currsize == converted
    assert len(database.engine._compiled_cache or ()) == compiled
    with database.autocommit() as connection:
        asked = text("select query from pg_stat_activity where pid = pg_backend_pid()")
        assert "request_id" not in str(connection.scalar(asked))


def test_comments_can_be_switched_off(postgres: PostgresServer, make_database: Callable[..., Database]) -> None:
    """For whoever keeps statements by their text."""
    from db.settings import Switch

    database = make_database(postgres.url(), sql_comments=Switch.OFF)
    asked = "select query from pg_stat_activity where pid = pg_backend_pid()"
    assert "/*" not in seen_by_the_server(database, "autocommit", asked, {})


def test_many_rows_carry_it_too(database: Database) -> None:
    """executemany, and a failure in it."""
    with pytest.raises(DBAPIError), database.invocation(10_000, TAGS), database.transaction() as connection:
        connection.execute(text("select 1 / cast(:n as int)"), [{"n": 1}, {"n": 0}])


# --- in a function ---


@pytest.fixture
def function(fresh: Callable[..., ModuleType], postgres: PostgresServer) -> ModuleType:
    """The health function, whose every statement is slow, with plans."""
    return fresh(
        "health",
        DATABASE_URL=postgres.url(),
        DB_TLS="insecure-local-only",
        DB_SLOW_STATEMENT_MS="0.001",
        DB_SLOW_STATEMENT_PLANS="on",
    )


def test_a_function_logs_a_slow_statement_once_with_its_route_and_counts_it(
    function: ModuleType, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """Its plan too, once in the environment."""
    event = v2_event("GET", "/health") | {"routeKey": "GET /health"}
    plans = []
    for _ in range(2):
        caplog.clear()
        capsys.readouterr()
        function.handler(event, Context())
        told = [vars(record) for record in caplog.records if record.message == "slow statement"]
        assert [(record["route"], record["statement"], record["rows"]) for record in told] == [
            ("GET /health", "select ?", 1)
        ]
        assert re.fullmatch("[0-9a-f]{16}", told[0]["fingerprint"])
        assert told[0]["levelno"] == logging.WARNING
        (metrics,) = (json.loads(line) for line in capsys.readouterr().out.splitlines() if '"_aws"' in line)
        assert metrics["SlowStatements"][0] == 1
        plans += [vars(record)["plan"] for record in caplog.records if record.message == "plan of a slow statement"]
    assert plans == [["Result"]]


def test_pg_stat_statements_counts_a_statement_once_whatever_its_comment_says(
    tmp_path_factory: pytest.TempPathFactory, make_database: Callable[..., Database]
) -> None:
    """The server's own fingerprint is the same, and so is ours of what it keeps."""
    directory = tmp_path_factory.mktemp("counted") / "data"
    with PostgresServer(directory, "secret", settings={"compute_query_id": "on"}) as server:
        database = make_database(server.url())
        asked = text("select query_id from pg_stat_activity where pid = pg_backend_pid() and :n > 0")
        ids = set()
        for number in (1, 2, 3):
            with database.invocation(10_000, {"request_id": str(number)}), database.autocommit() as connection:
                ids.add(connection.execute(asked, {"n": number}).scalar_one())
        database.close()
        assert len(ids) == 1
        assert None not in ids
        assert run(server, "show compute_query_id") == [("on",)]
