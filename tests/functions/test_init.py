"""What INIT does ahead, so that the first invocation costs what a warm one does."""

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from aws_lambda_powertools.event_handler.openapi import dependant
from pydantic import TypeAdapter
from sqlalchemy import text

import records
from db import Database, UnreachableError
from db.environment.lifecycle import Lifecycle
from db.environment.process import LambdaProcess
from db.settings import AtInit
from local.postgres import PostgresServer, free_port
from tests.faults.proxy import Proxy
from tests.functions.conftest import Context, as_client, v2_event

EVENTS = Path(__file__).parents[2] / "events"
NOBODYS_API = f"127.0.0.1:{free_port()}"
IN_LAMBDA = LambdaProcess(runtime_api=NOBODYS_API)


def init(database: Database) -> None:
    """Do what handlers/environment.py does when it is imported."""
    life = Lifecycle(database, IN_LAMBDA)
    life.begin()
    life.ready()


def one(database: Database) -> int:
    with database.autocommit() as connection:
        value: int = connection.scalar(text("select 1"))
    return value


def test_the_first_borrow_costs_one_flight_where_init_has_connected(
    make_database: Callable[..., Database], postgres: PostgresServer
) -> None:
    """As many as a warm one."""
    with Proxy(postgres.port) as proxy:
        url = f"postgresql://postgres:{postgres.password}@127.0.0.1:{proxy.port}/postgres"
        database = make_database(url, at_init=AtInit.CONNECTION, lease_s=60)
        init(database)
        before = proxy.traffic()
        assert one(database) == 1
        assert (proxy.traffic() - before).flights == 1


def test_init_opens_nothing_unless_it_is_told_to(
    make_database: Callable[..., Database], postgres: PostgresServer
) -> None:
    """A slot of the server is taken when it is needed; the secret alone is no connection."""
    with Proxy(postgres.port) as proxy:
        url = f"postgresql://postgres:{postgres.password}@127.0.0.1:{proxy.port}/postgres"
        init(make_database(url))
        assert proxy.traffic().connections == 0


def test_init_survives_a_database_that_is_away(make_database: Callable[..., Database]) -> None:
    """The function starts; its first borrow says what is wrong."""
    url = f"postgresql://nobody:secret@127.0.0.1:{free_port()}/none"
    database = make_database(url, at_init=AtInit.CONNECTION, connect_timeout_s=0.3)
    init(database)
    with pytest.raises(UnreachableError):
        one(database)


def compiled(database: Database) -> set[str]:
    """Return the statements that the engine need not compile any more."""
    cache: Any = database.engine._compiled_cache
    return {str(statement) for statement in cache.values()}


def test_what_is_compiled_ahead_is_what_a_connected_engine_compiles(
    make_database: Callable[..., Database], postgres: PostgresServer
) -> None:
    """Before the first connection the dialect knows nothing of the server: the statements are the same all the same."""
    early, late = make_database(postgres.url()), make_database(postgres.url())
    assert one(late) == 1
    for database in (early, late):
        database.rehearse(records.REHEARSALS)
    assert len(compiled(early)) == len(records.REHEARSALS)
    assert compiled(early) == compiled(late) - {"select 1"}


def test_a_snapshot_carries_what_is_compiled(make_database: Callable[..., Database], postgres: PostgresServer) -> None:
    """Its clones compile nothing: what is forgotten before the snapshot are secrets, and no statement is one."""
    database = make_database(postgres.url())
    life = Lifecycle(database, LambdaProcess(runtime_api=NOBODYS_API, is_snapshot=True))
    life.begin()
    life.ready(records.REHEARSALS)
    life.before_snapshot()
    life.after_restore()
    assert len(compiled(database)) == len(records.REHEARSALS)


def test_nothing_is_compiled_ahead_where_nothing_is_asked_for(
    make_database: Callable[..., Database], postgres: PostgresServer
) -> None:
    """DB_AT_INIT=nothing, or no Lambda: tools and tests begin at once."""
    for process, at_init in ((IN_LAMBDA, AtInit.NOTHING), (LambdaProcess(), AtInit.SECRET)):
        database = make_database(postgres.url(), at_init=at_init)
        Lifecycle(database, process).ready(records.REHEARSALS)
        assert compiled(database) == set()


def test_a_rehearsal_that_cannot_be_done_ends_nothing(
    make_database: Callable[..., Database], postgres: PostgresServer
) -> None:
    """Its statement says what is wrong with it where it is used."""
    life = Lifecycle(make_database(postgres.url()), IN_LAMBDA)
    life.begin()
    life.ready([lambda _: 1 / 0])


Started = tuple[dict[str, ModuleType], Database]


@pytest.fixture
def started(fresh: Callable[..., ModuleType], no_records: PostgresServer) -> Callable[..., Started]:
    """Start the functions of records and health as Lambda does, in one environment."""

    def start(url: str = no_records.url(), **variables: str) -> Started:
        in_lambda = {"AWS_LAMBDA_RUNTIME_API": NOBODYS_API, "DATABASE_URL": url, "DB_TLS": "insecure-local-only"}
        function = fresh("records", **in_lambda, **variables)
        import handlers.environment
        import handlers.health

        return {"records": function, "health": handlers.health}, handlers.environment.database

    return start


def served_by(functions: dict[str, ModuleType]) -> list[dict[str, Any]]:
    """Return the samples of an HTTP API, as the template has it, that these functions do not refuse."""
    index: list[dict[str, Any]] = json.loads((EVENTS / "index.json").read_text())
    of_these = [sample for sample in index if Path(sample["event"]).parent.name in functions]
    return [sample for sample in of_these if sample["status"] < 400 and "rest-v1" not in sample["event"]]


def test_no_invocation_compiles_a_statement_or_builds_a_validator(
    started: Callable[..., Started], monkeypatch: pytest.MonkeyPatch
) -> None:
    """INIT has done that with the whole processor: whatever comes first, at a share of it, need not."""
    functions, database = started()
    ahead = compiled(database)
    monkeypatch.setattr(dependant, "get_dependant", None)
    monkeypatch.setattr(TypeAdapter, "__init__", None)
    for sample in served_by(functions):
        event = json.loads((EVENTS / sample["event"]).read_text())
        answer = functions[Path(sample["event"]).parent.name].handler(event, Context())
        assert as_client(answer).status == sample["status"], sample
    with_key = v2_event("POST", "/records", {"name": "kettle", "payload": {}}, idempotency_key="once")
    assert as_client(functions["records"].handler(with_key, Context())).status == 201
    assert compiled(database) == ahead


def test_the_first_invocation_costs_as_many_flights_as_a_warm_one(
    started: Callable[..., Started], postgres: PostgresServer
) -> None:
    """Where INIT has connected: one, of a whole function."""
    event = json.loads((EVENTS / "records/list.json").read_text())
    with Proxy(postgres.port) as proxy:
        url = f"postgresql://postgres:{postgres.password}@127.0.0.1:{proxy.port}/postgres"
        functions, _ = started(url, DB_AT_INIT="connection", DB_LEASE_S="60")
        flights = []
        for _ in range(2):
            before = proxy.traffic()
            assert as_client(functions["records"].handler(event, Context())).status == 200
            flights.append((proxy.traffic() - before).flights)
    assert flights == [1, 1]
