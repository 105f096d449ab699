"""An application's secret in a Secrets Manager that counts, and environments that log in with it."""

import itertools
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from db import Database, DatabaseSettings, SecretCredentials, Tls
from db.credentials.api import ApiSource
from db.environment.endpoint import UNUSUAL
from local.postgres import PostgresServer
from local.secrets_manager import SecretsManager
from tests.canary import VALUE
from tests.faults.clock import Clock as ManualClock
from tests.rotation.rotation import Rotation, set_password

if TYPE_CHECKING:
    from types_boto3_secretsmanager import SecretsManagerClient

ROOT = Path(__file__).parents[2]
_numbers = itertools.count(1)


@dataclass
class Application:
    """A user of the database whose login is in a secret, and the environments that use it."""

    manager: SecretsManager
    server: PostgresServer
    admin: Database
    clock: ManualClock
    secret_id: str = field(default_factory=lambda: f"app-{next(_numbers)}/db")
    client: "SecretsManagerClient" = field(init=False, repr=False)
    user: str = ""
    environments: list[Database] = field(default_factory=list)
    calls_before: int = 0
    kind: type[SecretCredentials] = SecretCredentials
    """What its environments log in by."""

    def __post_init__(self) -> None:
        self.client = self.manager.client
        self.user = self.secret_id.removesuffix("/db")
        password = secrets.token_urlsafe()
        set_password(self.admin, self.user, password)
        content = {"username": self.user, "password": password, "host": "127.0.0.1", "port": self.server.port}
        self.manager.put(self.secret_id, json.dumps({**content, "dbname": "postgres", "engine": "postgres"}))

    def environment(self, **settings: Any) -> Database:  # noqa: ANN401 - the test names the fields
        """Return a new environment's database; it has logged in nowhere yet."""
        options = {"secret_id": self.secret_id, "tls": Tls.INSECURE_LOCAL_ONLY, **settings}
        made = DatabaseSettings(**options)
        credentials = self.kind(
            self.secret_id, ApiSource(self.secret_id), made.overrides(), max_age_s=3600, clock=self.clock
        )
        self.environments.append(Database(made, credentials=credentials))
        return self.environments[-1]

    def rotation(self, *, alternating: bool = False, leaves_pending: bool = True) -> Rotation:
        """Return a rotation of the secret that has not begun."""
        return Rotation(self.client, self.secret_id, self.admin, alternating=alternating, leaves_pending=leaves_pending)

    def reads(self) -> int:
        """Return how often the environments have read the secret since this was last asked."""
        now = self.manager.calls["GetSecretValue"]
        since, self.calls_before = now - self.calls_before, now
        return since


@pytest.fixture(params=["our own request", "the SDK"])
def asked_by(request: pytest.FixtureRequest, application: "Application", monkeypatch: pytest.MonkeyPatch) -> str:  # noqa: ARG001 - it must be there
    """How the secret is asked for: a test that has this runs both ways."""
    if request.param == "the SDK":
        monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    return str(request.param)


@pytest.fixture
def application(
    manager: SecretsManager,
    postgres: PostgresServer,
    make_database: Callable[..., Database],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Application]:
    """A secret and a user that no other test touches; who asks finds the emulator and nobody else."""
    for name in [name for name in os.environ if name.upper() in UNUSUAL]:
        monkeypatch.delenv(name)  # this machine's own way to AWS: a function has none of it
    for name, value in manager.variables().items():
        monkeypatch.setenv(name, value)
    # A busy machine's second attempt would be counted, too.
    monkeypatch.setattr("db.credentials.secret.REFRESH_TIMEOUT_S", 20.0)
    admin = make_database(postgres.url(), pool_size=0)
    made = Application(manager, postgres, admin, ManualClock())
    made.reads()
    yield made
    for database in made.environments:
        assert database.pool_state().borrowed == 0, "a connection was not given back"
        database.close()


PROGRAM = """
import sys
from db import Database, DatabaseSettings
with Database(DatabaseSettings.from_env()).autocommit() as connection:
    print(connection.exec_driver_sql("select current_user").scalar_one())
raise SystemExit(", ".join({"boto3", "botocore", "urllib3"} & set(sys.modules)) or 0)
"""


def cold_start(application: Application, program: str = PROGRAM) -> tuple[int, str, str]:
    """Log in in a fresh process; return its exit status, as whom, and what it says is wrong: the SDK is loaded."""
    variables = {"DB_SECRET_ID": application.secret_id, "DB_TLS": "insecure-local-only", "PYTHONPATH": "src"}
    command = [sys.executable, "-B", "-c", program]
    environ = {**os.environ, **variables}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environ, cwd=ROOT)
    return done.returncode, done.stdout.strip(), done.stderr


def who(database: Database) -> str:
    """Return as whom the database serves a request, which has a value as most have."""
    with database.transaction() as connection:
        return str(connection.exec_driver_sql("select current_user where %s <> ''", (VALUE,)).scalar_one())
