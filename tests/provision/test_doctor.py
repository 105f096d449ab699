"""The doctor, on a real server with each condition made real."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from psycopg import sql

from db import Tls
from local.postgres import PostgresServer
from provision.findings import Finding, Level
from provision.rotation import rotation_of
from tests.canary import VALUE, holds_a_word
from tests.faults.proxy import Proxy
from tests.integration.workers import parallel_workers
from tests.provision.conftest import HEAD, STEPS, Site
from tests.provision.examining import CHECKS, look

FLIGHTS = 5


def levels(found: dict[str, Finding]) -> dict[str, Level]:
    return {check: finding.level for check, finding in found.items() if finding.level is not Level.OK}


@contextmanager
def changed(site: Site, statement: str, back: str) -> Iterator[None]:
    """Let the superuser change something for a while."""
    with site.as_superuser() as admin:
        admin.execute(sql.SQL(statement).format(role=sql.Identifier(site.role), name=sql.Identifier(site.name)))
        try:
            yield
        finally:
            admin.execute(sql.SQL(back).format(role=sql.Identifier(site.role), name=sql.Identifier(site.name)))


def test_a_provisioned_database_is_well(provisioned: Site) -> None:
    """Every check says ok, but for the two that this server cannot satisfy: TLS, and a secret that rotates."""
    found = look(provisioned)
    assert list(found) == CHECKS
    assert levels(found) == {"rotation": Level.WARNING, "certificate": Level.WARNING}
    assert all(finding.advice for finding in found.values() if finding.level is not Level.OK)


def test_a_run_takes_five_flights(provisioned: Site) -> None:
    """Login included, and over TLS where the server's binaries have it: all questions travel together."""
    with Proxy(provisioned.server.port) as proxy:
        found = look(provisioned, **secure(provisioned.server, proxy.port))
        assert found["migrations"].level is Level.OK
        assert proxy.traffic().bursts <= FLIGHTS + 1, "the last is Terminate: TLS may answer that"


def secure(server: PostgresServer, port: int) -> dict[str, Any]:
    """Return what it takes to be sure of the server, or to do without where it has no TLS."""
    if server.certificate is None:
        return {"port": port}
    authority = str(server.certificate.with_name("authority.pem"))
    return {"host": "localhost", "port": port, "tls": Tls.VERIFY_FULL, "tls_ca": authority}


@pytest.mark.parametrize(
    ("statement", "back", "check", "level"),
    [
        ("alter role {role} superuser", "alter role {role} nosuperuser", "role", Level.WARNING),
        ("revoke insert on records from {role}", "grant insert on records to {role}", "privileges", Level.FAILURE),
        (
            "revoke usage on sequence records_id_seq from {role}",
            "grant usage on sequence records_id_seq to {role}",
            "privileges",
            Level.FAILURE,
        ),
        (
            "grant create on schema public to {role}",
            "revoke create on schema public from {role}",
            "privileges",
            Level.WARNING,
        ),
        ("alter role {role} connection limit -1", "alter role {role} connection limit 12", "limit", Level.WARNING),
        ("alter role {role} connection limit 1", "alter role {role} connection limit 12", "slots", Level.WARNING),
        (
            "alter role {role} in database {name} reset statement_timeout",
            "alter role {role} in database {name} set statement_timeout = 60000",
            "time-outs",
            Level.WARNING,
        ),
        (
            "alter role {role} set password_encryption = md5",
            "alter role {role} reset password_encryption",
            "passwords",
            Level.WARNING,
        ),
        (
            "alter role {role} set default_transaction_read_only = on",
            "alter role {role} reset default_transaction_read_only",
            "server",
            Level.FAILURE,
        ),
        ("delete from alembic_version", f"insert into alembic_version values ('{HEAD}')", "migrations", Level.FAILURE),  # noqa: S608 - our own revision
        (
            "update alembic_version set version_num = '9999'",
            f"update alembic_version set version_num = '{HEAD}'",  # noqa: S608 - our own revision
            "migrations",
            Level.WARNING,
        ),
        (
            "alter database {name} connection limit 10",
            "alter database {name} connection limit -1",
            "budget",
            Level.FAILURE,
        ),
    ],
)
def test_each_condition_has_its_line(provisioned: Site, statement: str, back: str, check: str, level: Level) -> None:
    """Made real on the server, found, and gone when it is put right."""
    with changed(provisioned, statement, back):
        assert look(provisioned)[check].level is level
    assert look(provisioned)[check].level is Level.OK


def test_slots_that_are_nearly_gone_are_a_warning(provisioned: Site) -> None:
    """Ten of twelve of the role's."""
    with ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(provisioned.as_application())
        assert look(provisioned)["slots"].says == "11 of 12 taken"
        assert look(provisioned)["slots"].level is Level.WARNING


def test_the_servers_own_processes_take_no_slot(provisioned: Site) -> None:
    """Two sessions of the role, however many workers a statement of theirs has."""
    with (
        provisioned.as_superuser() as superuser,
        provisioned.as_application() as application,
        parallel_workers(application, superuser),
    ):
        assert look(provisioned)["slots"].says == "2 of 12 taken"


def test_slots_that_are_gone_are_a_failure(provisioned: Site) -> None:
    """The role has all that it may have."""
    with ExitStack() as stack:
        for _ in range(12):
            stack.enter_context(provisioned.as_application())
        assert look(provisioned)["slots"].level is Level.FAILURE


def test_an_empty_database_wants_provisioning(site: Site) -> None:
    """The role logs in; schema and rights are missing, and the advice says how they come."""
    with site.as_superuser() as admin:
        admin.execute("set log_statement = none")  # else the password is in the server's log
        create = sql.SQL("create role {} login password {}").format(sql.Identifier(site.role), site.password)
        admin.execute(create)
    found = look(site)
    assert found["migrations"].level is Level.FAILURE
    assert f"pending: {STEPS[0]}" in found["migrations"].says
    assert "provision" in found["migrations"].advice


@pytest.mark.parametrize(
    ("skew_s", "level"), [(0, Level.OK), (60, Level.WARNING), (-60, Level.WARNING), (600, Level.FAILURE)]
)
def test_clocks_that_differ_are_told(provisioned: Site, skew_s: float, level: Level) -> None:
    """Ours is moved."""
    assert look(provisioned, now=lambda: time.time() + skew_s)["clock"].level is level


def test_a_fleet_that_does_not_fit_is_a_failure(provisioned: Site) -> None:
    """With the sum."""
    found = look(provisioned, wish={"Functions": [{"Function": "records", "Environments": "100"}]})
    assert found["budget"].level is Level.FAILURE
    assert "78 too many" in found["budget"].says


def test_a_rotation_is_dated(provisioned: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Off, on, or overdue, as Secrets Manager says."""
    monkeypatch.setattr("provision.rotation.TIMEOUT_S", 30)
    assert look(provisioned)["rotation"].says == "the secret does not rotate"
    client = provisioned.manager.client
    client.rotate_secret(
        SecretId=f"{provisioned.name}/app",
        RotationRules={"AutomaticallyAfterDays": 30},
        RotateImmediately=False,
    )
    assert look(provisioned)["rotation"].level is Level.OK
    later = look(provisioned, now=lambda: time.time() + 40 * 86400)
    assert later["rotation"].level is Level.WARNING


def test_the_log_has_not_our_token(
    provisioned: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where it is the root logger's level, DEBUG is the SDK's, too: it would write the headers that it signs."""
    monkeypatch.setenv("AWS_SESSION_TOKEN", f"{VALUE}-token")
    monkeypatch.setattr(logging.getLogger("botocore"), "level", logging.NOTSET)
    monkeypatch.setattr("provision.rotation.TIMEOUT_S", 30)
    caplog.set_level(logging.DEBUG)
    assert rotation_of(f"{provisioned.name}/app").refused is None
    assert not holds_a_word(caplog.text.encode())


def test_the_function_examines_too(provisioned: Site, function: Callable[..., Any]) -> None:
    """By hand, as JSON."""
    from tests.functions.conftest import Context

    report = function().handler({"Action": "doctor", "Plan": provisioned.wish()}, Context(remaining_ms=30_000))
    assert report["status"] == "warning"
    assert [finding["check"] for finding in report["findings"]] == CHECKS
    assert json.loads(json.dumps(report)) == report
    assert provisioned.password not in json.dumps(report)
