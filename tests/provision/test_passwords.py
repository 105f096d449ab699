"""Whose password is set, and whose is left alone: on a real server, in the middle of rotations and of outages."""

import json
import time
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from db import Login
from local.pgbouncer import PgBouncer
from local.postgres import free_port
from provision.accounts import Applicant
from provision.provisioning import provision
from tests.provision.conftest import REMAINING_MS, Site


def change_on_the_server(site: Site) -> None:
    """Give the role another password."""
    site.password = "rotated"
    with site.as_superuser() as admin:
        admin.execute("set log_statement = none")
        admin.execute(sql.SQL("alter role {} password {}").format(sql.Identifier(site.role), site.password))


def begin_rotation(site: Site) -> str:
    """Give the server AWSPENDING's password, as AWS's function does before its last step; return the old one."""
    old = site.password
    change_on_the_server(site)
    pending = {"username": site.role, "password": site.password, "host": "127.0.0.1", "port": site.server.port}
    site.manager.client.put_secret_value(
        SecretId=f"{site.name}/app",
        SecretString=json.dumps({**pending, "dbname": site.name}),
        VersionStages=["AWSPENDING"],
    )
    return old


def test_a_password_that_no_longer_fits_is_set(site: Site) -> None:
    """The secret was made anew, the role is there: its login works afterwards."""
    site.provision()
    site.password = "another"
    site.keep_secret()
    assert site.provision().changes == ["set the password"]
    site.as_application().close()


def test_a_password_that_is_pending_is_not_put_back(site: Site) -> None:
    """In the middle of a rotation the server has AWSPENDING's password: provisioning leaves it there."""
    site.provision()
    old = begin_rotation(site)
    report = site.provision()
    assert (report.changes, report.warnings) == ([], [])
    site.as_application().close()
    with pytest.raises(psycopg.OperationalError):
        site.connect(site.role, old)


@pytest.mark.usefixtures("without_patience")
def test_a_password_that_nobody_can_try_is_left_alone(site: Site) -> None:
    """The pooler is away in the middle of a rotation: that says nothing of the password, and the report says so."""
    site.provision()
    site.keep_secret(port=free_port())
    begin_rotation(site)
    report = site.provision()
    assert report.changes == []
    (warning,) = report.warnings
    assert f"{site.role} keeps its password" in warning
    assert "unreachable" in warning
    site.as_application().close()


def test_a_password_that_was_rotated_meanwhile_is_not_put_back(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a function that leaves no AWSPENDING: the secret is read once more before the password is set."""
    site.provision()
    logs_in = Applicant._logs_in
    tried: list[str] = []

    def rotate_first(self: Applicant, login: Login | None) -> bool:
        if self.role == site.role and not tried:
            change_on_the_server(site)
            site.keep_secret()
        tried.append(self.role)
        return logs_in(self, login)

    monkeypatch.setattr(Applicant, "_logs_in", rotate_first)
    assert site.provision().changes == []
    assert tried.count(site.role) == 3
    site.as_application().close()


def test_a_password_before_another_refusal_is_left_alone(site: Site) -> None:
    """As of a pooler that knows no such database yet, and has looked at no password: the report says why."""
    site.provision()
    site.keep_monitors_secret(dbname="absent")
    report = site.provision()
    assert report.changes == []
    (warning,) = report.warnings
    assert f"{site.monitor} keeps its password" in warning
    assert "3D000" in warning


@pytest.mark.usefixtures("without_patience")
def test_a_monitor_that_nobody_can_try_keeps_its_password_too(site: Site) -> None:
    """And the warning names it."""
    site.provision()
    site.keep_monitors_secret(port=free_port(), password="another")
    report = site.provision()
    assert report.changes == []
    assert [warning.partition(" keeps")[0] for warning in report.warnings] == [site.monitor]
    site.connect(site.monitor, site.server.password).close()


@pytest.mark.usefixtures("without_patience")
def test_a_role_that_is_missing_gets_the_secrets_password(site: Site) -> None:
    """Also where nobody can try it: before a pooler that is made after it."""
    site.keep_secret(port=free_port())
    report = site.provision()
    assert report.changes[:1] == ["create the role"]
    assert report.warnings == []
    site.as_application().close()


def test_a_pooler_without_a_connection_to_lend_does_not_use_up_the_time(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lets the application in and serves it when it can: provisioning goes on without."""
    monkeypatch.setattr("provision.accounts.TRIAL_S", 1.0)
    site.provision()
    with PgBouncer(site.server, tmp_path, pool_size=1) as pooler:
        url = site.server.url(site.role, site.password, site.name, port=pooler.port)
        with psycopg.connect(url) as holder:
            holder.execute("select 1")
            plan = site.plan(Mode="pooler", ConnectionLimit=12, ApplicationPort=str(pooler.port))
            began = time.monotonic()
            report = provision(site.owner(silence_s=60.0), plan, REMAINING_MS)
            assert time.monotonic() - began < 10
    assert report.changes == ["set idle_session_timeout"]
    assert "deadline" in report.warnings[0]
