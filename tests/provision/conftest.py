"""A database as RDS gives it: its master creates roles and databases and is no superuser; logins are in secrets."""

import itertools
import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
import pytest
from psycopg import sql

import migrations
from db import DatabaseSettings, Tls
from local.binaries import counts_statements, knows, postgres_bin
from local.postgres import PostgresServer
from local.secrets_manager import SecretsManager
from provision.monitoring import RIGHTS
from provision.plan import Plan, read_plan
from provision.provisioning import Report, provision
from tests.faults.tls import Authority
from tests.functions.conftest import forget_environment

MASTER = "master"
SETTINGS = {
    "max_connections": "30",
    "superuser_reserved_connections": "3",
    "log_min_messages": "log",
    "log_statement": "all",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}
STATEMENTS = {"shared_preload_libraries": "pg_stat_statements"}
RESERVED = {"max_connections": "32", "reserved_connections": "2"}
REMAINING_MS = 20_000.0
STEPS = migrations.pending(None) or []
HEAD = STEPS[-1]

_numbers = itertools.count(1)


@pytest.fixture
def without_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nobody who is away be waited for."""
    monkeypatch.setattr("db.recovery.reach.wait_for_server_s", lambda *_, **__: None)


def started(folder: Path, binaries: Path) -> Iterator[PostgresServer]:
    """Run a server with 27 usable slots and a master who is no superuser and may do what RDS's may."""
    settings = SETTINGS | (RESERVED if knows(binaries, "reserved_connections") else {})
    settings |= STATEMENTS if counts_statements(binaries) else {}
    wanted = PostgresServer(folder / "data", secrets.token_urlsafe(), settings=settings, binaries=binaries)
    wanted.certificate = Authority(folder).certificate("localhost") if wanted.has_tls else None
    with wanted as server:
        with psycopg.connect(server.url(), autocommit=True) as admin:
            admin.execute("set log_statement = none")  # else the password is in the server's log
            admin.execute(f"create role {MASTER} login createdb createrole password '{server.password}'")
            admin.execute("create role rds_iam")
            known = admin.execute("select rolname from pg_roles where rolname = any(%s)", [["rds_iam", *RIGHTS]])
            for (right,) in known.fetchall():
                admin.execute(f"grant {right} to {MASTER} with admin option")
        yield server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """One for all."""
    yield from started(tmp_path_factory.mktemp("rds"), postgres_bin())


@dataclass
class Site:
    """An empty database of its own, and what is wanted of it."""

    server: PostgresServer
    manager: SecretsManager
    name: str = field(default_factory=lambda: f"site{next(_numbers)}")
    password: str = field(default_factory=secrets.token_urlsafe)

    def __post_init__(self) -> None:
        self.role = f"{self.name}_app"
        self.monitor = f"{self.name}_monitor"
        with self.connect(MASTER, self.server.password, "postgres") as master:
            master.execute(sql.SQL("create database {}").format(sql.Identifier(self.name)))
        if counts_statements(self.server.binaries):
            with self.as_superuser() as admin:  # on RDS the master may do it: he is a member of rds_superuser
                admin.execute("create extension pg_stat_statements")
        self.keep_secret()
        self.keep_monitors_secret()

    def keep_monitors_secret(self, **changes: object) -> None:
        """Put the monitor's login into its own."""
        login = {
            "username": self.monitor,
            "password": self.server.password,
            "host": "127.0.0.1",
            "port": self.server.port,
        }
        self.manager.put(f"{self.name}/monitor", json.dumps({**login, "dbname": self.name, **changes}))

    def keep_secret(self, **changes: object) -> None:
        """Put the application's login into its secret."""
        login = {"username": self.role, "password": self.password, "host": "127.0.0.1", "port": self.server.port}
        self.manager.put(f"{self.name}/app", json.dumps({**login, "dbname": self.name, **changes}))

    def connect(self, user: str, password: str, database: str | None = None) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1",
            port=self.server.port,
            dbname=database or self.name,
            user=user,
            password=password,
            autocommit=True,
        )

    def as_master(self) -> psycopg.Connection:
        return self.connect(MASTER, self.server.password)

    def as_superuser(self) -> psycopg.Connection:
        return self.connect("postgres", self.server.password)

    def as_application(self) -> psycopg.Connection:
        return self.connect(self.role, self.password)

    def wish(self, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        """Return a plan as CloudFormation sends it, numbers as texts."""
        functions = [{"Function": "records", "Environments": "8", "PoolSize": "1"}]
        logins = {"ApplicationSecretId": f"{self.name}/app", "MonitorSecretId": f"{self.name}/monitor"}
        return {**logins, "Functions": functions, **changes}

    def plan(self, **changes: Any) -> Plan:  # noqa: ANN401 - JSON
        return read_plan(self.wish(**changes))

    def owner(self, **settings: Any) -> DatabaseSettings:  # noqa: ANN401 - the test names the fields
        url = self.server.url(MASTER, self.server.password, self.name)
        return DatabaseSettings(**{"url": url, "tls": Tls.INSECURE_LOCAL_ONLY, **settings})

    def provision(self, **changes: Any) -> Report:  # noqa: ANN401 - JSON
        return provision(self.owner(), self.plan(**changes), REMAINING_MS)

    def drop(self) -> None:
        with self.connect("postgres", self.server.password, "postgres") as admin:
            admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(self.name)))
            for role in (f"{self.role}_clone", f"{self.role}_iam", self.role, self.monitor):
                admin.execute(sql.SQL("drop role if exists {}").format(sql.Identifier(role)))


def tables(site: Site) -> set[str]:
    with site.as_master() as master:
        return {name for (name,) in master.execute("select tablename from pg_tables where schemaname = 'public'")}


def role(site: Site, what: str) -> Any:  # noqa: ANN401 - any value
    with site.as_master() as master:
        query = f"select {what} from pg_roles where rolname = %s"  # noqa: S608 - the tests' own text
        found = master.execute(query, [site.role]).fetchone()
    return found and found[0]


@pytest.fixture(scope="session", autouse=True)
def _variables(manager: SecretsManager) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in manager.variables().items():
            patch.setenv(name, value)
        yield


@pytest.fixture
def site(server: PostgresServer, manager: SecretsManager) -> Iterator[Site]:
    made = Site(server, manager)
    yield made
    made.drop()


@pytest.fixture(scope="module")
def provisioned(server: PostgresServer, manager: SecretsManager) -> Iterator[Site]:
    """One for all tests of a module that change nothing."""
    made = Site(server, manager)
    made.provision()
    yield made
    made.drop()


@pytest.fixture
def function(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ModuleType]]:
    """Load the function as a new environment does, on the site unless `variables` say otherwise."""

    def load(**variables: str) -> ModuleType:
        forget_environment()
        usual = {
            "DATABASE_URL": site.server.url(MASTER, site.server.password, site.name),
            "DB_TLS": "insecure-local-only",
        }
        for name, value in {**usual, **variables}.items():
            monkeypatch.setenv(name, value)
        import handlers.provision

        return handlers.provision

    yield load
    forget_environment()


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For a server of the test's own."""
    return tmp_path_factory.mktemp("own")
