"""The monitor function and a server of its own for it to look at."""

import json
import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import psycopg
import pytest

from local.binaries import counts_statements
from local.postgres import PostgresServer
from tests.faults.proxy import Proxy
from tests.faults.server import backends, run, wait_until
from tests.faults.tls import Authority
from tests.functions.conftest import Context
from tests.integration.quiet import wait_until_quiet

OURS = "slotwise-records"
FLIGHTS_OF_A_RUN = 5
NOT_OF_THE_TEST = "(usename = 'watcher' or application_name = '')"
"""Sessions of earlier runs and of `run`, which may not have ended yet; a test's own have names."""


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
    wait_until_quiet(server)

    def run_once(**watch: Any) -> Told:  # noqa: ANN401 - the fields of Watch
        wait_until_quiet(server, NOT_OF_THE_TEST)
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
