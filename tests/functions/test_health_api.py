"""GET /health with the database there, away, and back."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from local.postgres import PostgresServer
from tests.functions.conftest import Context, as_client, v2_event

LOCAL = {"DB_TLS": "insecure-local-only"}


def test_health_says_that_the_database_answers(
    fresh: Callable[..., ModuleType], postgres: PostgresServer, pool_size: int
) -> None:
    """In how long, and what the pool holds when the connection is back."""
    health = fresh("health", DATABASE_URL=postgres.url(), DB_POOL_SIZE=str(pool_size), **LOCAL)
    reply = as_client(health.handler(v2_event("GET", "/health"), Context()))
    assert (reply.status, reply.body["status"]) == (200, "ok")
    assert reply.body["answered_ms"] > 0
    assert reply.body["pool"] | {"kind": ""} == {"kind": "", "size": pool_size, "idle": pool_size, "borrowed": 0}


def test_an_environment_starts_without_the_database_and_recovers_by_itself(
    fresh: Callable[..., ModuleType], tmp_path: Path
) -> None:
    """503 with Retry-After while nobody listens, 200 as soon as somebody does; nothing is restarted."""
    server = PostgresServer(tmp_path / "data", "secret")
    health = fresh("health", DATABASE_URL=server.url(), **LOCAL)
    away = as_client(health.handler(v2_event("GET", "/health"), Context()))
    assert (away.status, away.headers["retry-after"]) == (503, "2")
    assert away.headers["content-type"] == "application/problem+json"
    assert set(away.body) == {"title", "status", "detail", "request_id"}
    with server:
        assert as_client(health.handler(v2_event("GET", "/health"), Context())).status == 200


def test_an_invocation_without_time_is_answered_in_time(
    fresh: Callable[..., ModuleType], postgres: PostgresServer
) -> None:
    """503 instead of an environment that Lambda kills."""
    health = fresh("health", DATABASE_URL=postgres.url(), **LOCAL)
    assert as_client(health.handler(v2_event("GET", "/health"), Context(remaining_ms=100))).status == 503


def test_health_imports_no_validation() -> None:
    """Its cold start does not pay for pydantic."""
    code = "import sys, handlers.health; sys.exit('pydantic' in sys.modules)"
    variables = {"DATABASE_URL": "postgresql://u@h/d", "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=variables, check=False).returncode == 0
