"""The monitor's own role: made with its rights and no more, and let in where the application finds no slot.

On an older server, where only superusers have reserved slots, and on one that knows pg_use_reserved_connections.
"""

import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql

from db import SaturatedError, Tls
from local.binaries import bundled, knows, postgres_bin
from local.postgres import PostgresServer
from provision.accounts import application_settings
from provision.doctor import examine
from provision.errors import RoleRefusedError
from provision.findings import Finding, Level
from provision.monitoring import CONNECTION_LIMIT, FROM_RESERVED_SLOTS, RIGHTS
from provision.provisioning import provision
from tests.faults.tls import Authority, TlsFront
from tests.functions.conftest import Context, forget_environment
from tests.provision.conftest import MASTER, REMAINING_MS, Site, started

BINARIES = list(dict.fromkeys([postgres_bin(), next(bundled())]))
USABLE = 27


@pytest.fixture(scope="module", params=BINARIES, ids=["system's", "wheel's"][: len(BINARIES)])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """An old one, and a new one with two slots reserved for who may use them."""
    binaries: Path = request.param
    yield from started(tmp_path_factory.mktemp("rds"), binaries)


def reserves(site: Site) -> bool:
    """Say whether this server can reserve slots for others than superusers."""
    return knows(site.server.binaries, "reserved_connections")


@pytest.fixture
def look(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., dict[str, Any]]]:
    """Run the monitor's function with the login of its secret."""
    forget_environment()
    variables = {"DB_SECRET_ID": f"{site.name}/monitor", "DB_TLS": "insecure-local-only", "DB_POOL_SIZE": "0"}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    module: ModuleType = importlib.import_module("handlers.monitor")

    def run(**watch: object) -> dict[str, Any]:
        answer: dict[str, Any] = module.handler(watch, Context(function_name="slotwise-monitor"))
        return answer

    yield run
    forget_environment()


@pytest.fixture
def fill(server: PostgresServer) -> Iterator[Callable[[str, str, str], int]]:
    """Open sessions as somebody until the server refuses; returns how many."""
    with ExitStack() as stack:

        def open_all(user: str, password: str, database: str) -> int:
            for opened in range(100):
                try:
                    url = server.url(user, password, database)
                    stack.enter_context(psycopg.connect(url, autocommit=True))
                except psycopg.OperationalError:
                    return opened
            raise AssertionError("the server has no limit")

        yield open_all


def finding(site: Site, **wish: object) -> Finding:
    """Return the doctor's line on the monitor."""
    plan = site.plan(**wish)
    found = examine(application_settings(site.owner(), plan), plan, 10_000)
    return {each.check: each for each in found}["monitor"]


def as_monitor(site: Site) -> psycopg.Connection:
    return site.connect(site.monitor, site.server.password)


def test_the_role_has_its_rights_limits_and_nothing_else(site: Site) -> None:
    """It sees and signals; it reads no table, and neither makes nor keeps anything."""
    changes = site.provision().changes
    assert changes.count("monitor: create the role") == 1
    rights = {right for right in RIGHTS if reserves(site) or right != FROM_RESERVED_SLOTS}
    with as_monitor(site) as monitor:
        member = "select rolname from pg_roles where pg_has_role(oid, 'member') and rolname = any(%s)"
        assert {name for (name,) in monitor.execute(member, [list(RIGHTS)])} == rights
        limits = "select rolconnlimit, rolsuper, rolcreaterole, rolcreatedb from pg_roles where rolname = session_user"
        assert monitor.execute(limits).fetchone() == (CONNECTION_LIMIT, False, False, False)
        assert monitor.execute("show statement_timeout").fetchone() == ("15s",)
        for statement in ("table public.records", "table public.alembic_version", "create table public.mine (n int)"):
            with pytest.raises(errors.InsufficientPrivilege):
                monitor.execute(statement)
    assert site.provision().changes == []


def test_where_the_application_finds_no_slot_the_monitor_does(
    site: Site, look: Callable[..., dict[str, Any]], fill: Callable[[str, str, str], int]
) -> None:
    """The application's CONNECTION LIMIT leaves it one, on any server."""
    limit = site.provision(ConnectionLimit=8).connection_limit
    assert fill(site.role, site.password, site.name) == limit
    assert look(slots_share=0.2)["warnings"] == [f"{limit + 1} of {USABLE} slots are taken"]


def test_where_nobody_finds_a_slot_the_monitor_does(
    site: Site, look: Callable[..., dict[str, Any]], fill: Callable[[str, str, str], int]
) -> None:
    """From the reserved ones, where the server has any for it; before PostgreSQL 16 it is told that there is none."""
    site.provision(ConnectionLimit=50)
    assert fill(site.role, site.password, site.name) == USABLE
    if reserves(site):
        assert look()["warnings"] == [f"{USABLE + 1} of {USABLE} slots are taken"]
    else:
        with pytest.raises(SaturatedError):
            look()


def test_it_ends_what_the_application_has_left_behind(site: Site, look: Callable[..., dict[str, Any]]) -> None:
    """Though it is another role, and knows nothing of the application's password."""
    site.provision()
    url = site.server.url(site.role, site.password, site.name)
    with psycopg.connect(url, application_name="slotwise-records:7:0123456789ab") as left:
        left.execute("select pg_sleep(0.3)")
        watch = {"functions": ["slotwise-records"], "role": site.role, "longest_function_s": 0.2}
        assert look(**watch)["ended"] == 1
        with pytest.raises(psycopg.OperationalError):
            left.execute("select 1")


def test_the_application_is_not_the_monitor(site: Site) -> None:
    """Whoever has one's password would have the other's rights."""
    site.keep_monitors_secret(username=site.role, password=site.password)
    with pytest.raises(RoleRefusedError, match="give the monitor a role of its own"):
        site.provision()


def test_a_monitor_that_logs_in_by_iam_gets_that_right_too(site: Site, folder: Path) -> None:
    """And no password."""
    authority = Authority(folder)
    with TlsFront(site.server.port, authority.certificate("localhost")) as front:
        owner = site.owner(host="localhost", port=front.port, tls=Tls.VERIFY_FULL, tls_ca=str(authority.file))
        changes = provision(owner, site.plan(MonitorSecretId="", MonitorUser=site.monitor), REMAINING_MS).changes
    assert {"monitor: create the role", "monitor: let the role log in by IAM"} <= set(changes)


def test_a_right_that_is_not_the_masters_to_give_is_told_and_hinders_nothing(site: Site) -> None:
    """The report says who has to grant what, and the doctor goes on saying it; before PostgreSQL 16 CREATEROLE does."""
    with site.as_superuser() as admin:
        admin.execute(f"revoke pg_signal_backend from {MASTER}")
        report = site.provision()
        admin.execute(f"grant pg_signal_backend to {MASTER} with admin option")
    told = f"let who has ADMIN OPTION on it grant pg_signal_backend to {site.monitor}"
    assert report.warnings == ([f"the monitor cannot end what is left behind: {told}"] if reserves(site) else [])
    assert finding(site).level is (Level.WARNING if reserves(site) else Level.OK)


def test_the_doctor_says_what_the_monitor_has_on_a_full_server(site: Site) -> None:
    """Reserved slots, or the headroom."""
    site.provision()
    has = "one of 2 reserved slots" if reserves(site) else "the headroom: only superusers have reserved slots"
    assert finding(site).says == f"{site.monitor} sees and ends what it must, and on a full server it has {has}"


def test_the_doctor_names_what_the_monitor_lacks(site: Site) -> None:
    """A login, a role, a right, each with what to do."""
    site.provision(MonitorSecretId="")
    assert "MonitorSecretArn" in finding(site, MonitorSecretId="").advice
    unread = finding(site, MonitorSecretId="no/such/secret")
    assert (unread.level, "no/such/secret" in unread.says) == (Level.WARNING, True)
    assert (finding(site).level, finding(site).says) == (
        Level.FAILURE,
        f"the monitor's role {site.monitor} is not there",
    )
    site.provision()
    with site.as_master() as master:
        master.execute(sql.SQL("revoke pg_monitor, pg_signal_backend from {}").format(sql.Identifier(site.monitor)))
    assert finding(site).says == f"{site.monitor} cannot see what others do, end what is left behind"
    assert finding(site).advice == f"grant pg_monitor, pg_signal_backend to {site.monitor}"


def test_rights_without_a_slot_to_use_are_a_warning(site: Site, server: PostgresServer) -> None:
    """reserved_connections is 0 where nobody has set it."""
    site.provision()
    if not reserves(site):
        return
    usual, server.settings = server.settings, {**server.settings, "reserved_connections": "0"}
    server.restart()
    found = finding(site)
    server.settings = usual
    server.restart()
    assert (found.level, found.advice) == (Level.WARNING, "set reserved_connections = 2, and restart the server")


def test_without_reserved_slots_the_monitor_has_the_headroom(
    site: Site, server: PostgresServer, look: Callable[..., dict[str, Any]], fill: Callable[[str, str, str], int]
) -> None:
    """As on the stack's own database, which reserves none: the application's CONNECTION LIMIT leaves it room."""
    if not reserves(site):
        return
    limit = site.provision(ConnectionLimit=8).connection_limit
    usual, server.settings = server.settings, {**server.settings, "reserved_connections": "0"}
    server.restart()
    assert fill(site.role, site.password, site.name) == limit
    assert look()["warnings"] == []
    server.settings = usual
    server.restart()
