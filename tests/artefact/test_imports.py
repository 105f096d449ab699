"""What a start loads, out of the artefact: no module that no function needs comes back unnoticed."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from local.postgres import PostgresServer, free_port
from local.serving import Server
from tests.artefact.conftest import Run

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

EVENTS = Path(__file__).parents[2] / "events"
MOST_MODULES = 330
"""Out of the artefact, after the first answer; `most_in_all` holds those with Python's own where they are."""
MOST_MEMORY_MB = 96
"""Resident after the first answer; the smallest function has 128."""

NEVER = {
    "alembic",
    "asn1crypto",
    "asyncio",
    "aws_lambda_powertools.event_handler.appsync",
    "aws_lambda_powertools.tracing",
    "aws_xray_sdk",
    "dateutil",
    "importlib.metadata",
    "mako",
    "pickle",
    "platform",
    "pydantic.v1",
    "sqlalchemy.connectors",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "sqlalchemy.dialects.postgresql.psycopg",
    "sqlalchemy.dialects.postgresql.psycopg2",
    "sqlalchemy.orm",
}
"""What neither the import of a handler nor its first answer needs."""
SDK = {"boto3", "botocore.session", "s3transfer", "urllib3"}
"""Wanted where keys or endpoint are unusual, and nowhere else."""


@pytest.fixture
def extension(postgres: PostgresServer) -> Iterator[dict[str, str]]:
    """The Secrets extension, as far as a function asks it; yields the variables that lead there."""
    login = {"username": "postgres", "password": postgres.password, "host": "127.0.0.1", "port": postgres.port}
    answer = {"SecretString": json.dumps(login), "VersionId": "one"}

    def serve(_environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]

    with Server(serve) as server:
        yield {
            "AWS_LAMBDA_FUNCTION_NAME": "slotwise",
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{free_port()}",
            "AWS_SESSION_TOKEN": "none",
            "PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": str(server.port),
            "PYDANTIC_DISABLE_PLUGINS": "__all__",
        }


def event(name: str) -> Any:  # noqa: ANN401 - JSON
    return json.loads((EVENTS / name).read_text())


@pytest.fixture(params=["the extension", "the API"])
def beside(request: pytest.FixtureRequest, extension: dict[str, str]) -> dict[str, str]:
    """The variables of a function that has its secret by either way."""
    absent = {"PARAMETERS_SECRETS_EXTENSION_HTTP_PORT": "1"} if request.param == "the API" else {}
    return extension | absent


@pytest.mark.parametrize(
    ("function", "sample", "never", "most_in_all"),
    [
        ("health", "health/get.json", NEVER | {"pydantic"}, 428),
        ("records", "records/list.json", NEVER, 498),
        ("monitor", "monitor/each-minute.json", NEVER, 455),
    ],
)
def test_a_start_loads_what_it_needs_and_no_more(
    run: Run, beside: dict[str, str], function: str, sample: str, never: set[str], most_in_all: int
) -> None:
    """All in INIT, where the processor is whole; the SDK not at all, whoever has the secret."""
    run("invoke", {"migrates": True, "invocations": []})
    found = run("load", {"handler": f"handlers.{function}.handler", "events": [event(sample)]}, **beside)
    assert found["answers"] == [None if function == "monitor" else 200]
    assert (never | SDK).intersection(found["imported"]) == set()
    assert set(found["invoked"]) == set(found["imported"])
    assert found["carried"] <= MOST_MODULES
    assert len(found["invoked"]) <= most_in_all
    assert found["resident_mb"] < MOST_MEMORY_MB


def test_the_function_that_provisions_imports_next_to_nothing(run: Run, beside: dict[str, str]) -> None:
    """What may fail is imported where a failure is answered: a stack must not wait an hour for a broken import."""
    found = run("load", {"handler": "handlers.provision.handler", "events": []}, **beside)
    assert (NEVER | SDK | {"pydantic", "sqlalchemy", "db"}).intersection(found["imported"]) == set()
    assert len(found["imported"]) <= 190


def test_a_login_by_iam_loads_no_sdk(run: Run, beside: dict[str, str]) -> None:
    """Keys and region are in the environment, and the token is signed here, in INIT already."""
    login = {"DB_SECRET_ID": "", "DB_IAM_USER": "app", "DB_HOST": "127.0.0.1", "DB_TLS": ""}
    found = run("load", {"handler": "handlers.health.handler", "events": []}, **beside, **login)
    assert (NEVER | SDK | {"pydantic"}).intersection(found["imported"]) == set()
    assert "hmac" in found["imported"]


def test_the_sdk_is_loaded_where_it_takes_it_and_not_before(run: Run) -> None:
    """Importing a handler does without it still; a fetch with a profile, say, does not."""
    job = {"handler": "handlers.health.handler", "events": [event("health/get.json")]}
    found = run("load", job, AWS_CONFIG_FILE="/dev/null")
    assert found["answers"] == [200]
    assert SDK.intersection(found["imported"]) == set()
    assert "botocore.session" in found["invoked"]
    assert "boto3" not in found["invoked"]
    assert found["resident_mb"] < MOST_MEMORY_MB
