"""The functions as Lambda runs them: imported into a fresh environment, invoked with events of API Gateway."""

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest
from aws_lambda_powertools.metrics import Metrics
from sqlalchemy import text

import migrations
from db import Database
from db.settings import Mode
from local.postgres import PostgresServer

ENVIRONMENT_MODULES = ("handlers.environment", "handlers.records", "handlers.health", "handlers.monitor")
"""Those that hold what lives as long as an environment."""


@dataclass
class Context:
    """What Lambda hands to a handler."""

    aws_request_id: str = "0a1b2c3d-0000-4000-8000-000000000000"
    function_name: str = "slotwise-records"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:123456789012:function:slotwise-records"
    remaining_ms: int = 10_000

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_ms


@dataclass
class Reply:
    """An answer as a client reads it."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


def as_client(answer: dict[str, Any]) -> Reply:
    """Read an answer of either form of API."""
    single = answer.get("headers") or {}
    multiple = {name: values[-1] for name, values in (answer.get("multiValueHeaders") or {}).items()}
    body = answer["body"]
    with suppress(ValueError, TypeError):
        body = json.loads(body)
    return Reply(int(answer["statusCode"]), body, {k.lower(): str(v) for k, v in {**single, **multiple}.items()})


def v2_event(method: str, path: str, body: Any = None, query: dict[str, str] | None = None, **headers: str) -> Any:  # noqa: ANN401 - JSON
    """Make an HTTP API event."""
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}},
        "queryStringParameters": query or {},
        "requestContext": {"http": {"method": method, "path": path}, "stage": "$default"},
        "body": body if body is None or isinstance(body, str) else json.dumps(body),
        "isBase64Encoded": False,
    }


def v1_event(method: str, path: str, body: Any = None, query: dict[str, str] | None = None, **headers: str) -> Any:  # noqa: ANN401 - JSON
    """Make a REST API event for the same request."""
    given = {"Content-Type": "application/json", **{k.replace("_", "-").title(): v for k, v in headers.items()}}
    return {
        "resource": path,
        "path": path,
        "httpMethod": method,
        "headers": given,
        "multiValueHeaders": {name: [value] for name, value in given.items()},
        "queryStringParameters": query,
        "multiValueQueryStringParameters": query and {name: [value] for name, value in query.items()},
        "requestContext": {"httpMethod": method, "path": f"/prod{path}", "stage": "prod", "resourcePath": path},
        "body": body if body is None or isinstance(body, str) else json.dumps(body),
        "isBase64Encoded": False,
    }


PATIENT = {"DB_SILENCE_S": "20", "DB_IDLE_IN_TRANSACTION_S": "20"}
"""A busy machine keeps both sides waiting: a test that is about that says so itself."""


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch, connection_mode: Mode) -> Iterator[Callable[..., ModuleType]]:
    """Import a function's module as a new execution environment does, with these variables."""
    databases: list[Database] = []

    def load(module: str, **variables: str) -> ModuleType:
        forget_environment()
        for name, value in {"DB_MODE": connection_mode, **PATIENT, **variables}.items():
            monkeypatch.setenv(name, value)
        databases.append(importlib.import_module("handlers.environment").database)
        return importlib.import_module(f"handlers.{module}")

    yield load
    forget_environment()
    for database in databases:
        assert database.pool_state().borrowed == 0, "a connection was not given back"
        database.close()


def forget_environment() -> None:
    """Let the next import build anew; Powertools keeps its metrics on the class."""
    for name in ENVIRONMENT_MODULES:
        sys.modules.pop(name, None)
    Metrics(namespace="Slotwise").clear_metrics()


@pytest.fixture(scope="session")
def schema(postgres: PostgresServer) -> PostgresServer:
    """The shared server with the records' schema."""
    from db import DatabaseSettings, Tls

    database = Database(DatabaseSettings(url=postgres.url(), tls=Tls.INSECURE_LOCAL_ONLY, pool_size=0))
    migrations.upgrade(database.engine)
    return postgres


@pytest.fixture
def no_records(schema: PostgresServer, make_database: Callable[..., Database]) -> PostgresServer:
    """The schema without a row, its ids beginning at 1."""
    with make_database(schema.url(), pool_size=0).transaction() as connection:
        connection.execute(text("truncate records, idempotency_keys restart identity"))
    return schema


Call = Callable[..., Reply]


@pytest.fixture
def function(fresh: Callable[..., ModuleType], no_records: PostgresServer, pool_size: int) -> ModuleType:
    """The function of the records API, on an empty table."""
    return fresh("records", DATABASE_URL=no_records.url(), DB_TLS="insecure-local-only", DB_POOL_SIZE=str(pool_size))


@pytest.fixture
def call(function: ModuleType) -> Call:
    """Call the records API: `call("GET", "/records", query={...}, if_match=...)`."""

    def send(method: str, path: str, body: Any = None, **parts: Any) -> Reply:  # noqa: ANN401 - JSON
        return as_client(function.handler(v2_event(method, path, body, **parts), Context()))

    return send
