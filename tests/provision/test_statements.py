"""Whether the server counts its statements: made to where it may be, told where not, seen by the monitor's role."""

from collections.abc import Iterator

import pytest

from local.binaries import counts_statements
from local.postgres import PostgresServer
from provision.accounts import application_settings
from provision.doctor import examine
from provision.findings import Finding, Level
from provision.provisioning import provision
from provision.statements import REFUSED
from tests.provision.conftest import REMAINING_MS, Site

CREATED = "install pg_stat_statements"


@pytest.fixture(autouse=True)
def _without_the_extension(site: Site) -> None:
    """A new database, where the library is loaded and nothing installed."""
    if not counts_statements(site.server.binaries):
        pytest.skip("these binaries come without pg_stat_statements")
    with site.as_superuser() as admin:
        admin.execute("drop extension pg_stat_statements")


def finding(site: Site) -> Finding:
    """Return the doctor's line."""
    plan = site.plan()
    found = examine(application_settings(site.owner(), plan), plan, 10_000)
    return {each.check: each for each in found}["statements"]


def test_who_may_install_it_does(site: Site) -> None:
    """Once; in a schema that the monitor may use, whatever the application's is; and it reads all statements."""
    owner = site.owner(url=site.server.url("postgres", site.server.password, site.name))
    assert CREATED in provision(owner, site.plan(SchemaName="app"), REMAINING_MS).changes
    assert provision(owner, site.plan(SchemaName="app"), REMAINING_MS).changes == []
    with site.connect(site.monitor, site.server.password) as monitor:
        text = "select count(*) > 0 from public.pg_stat_statements where query ilike '%create extension%'"
        assert monitor.execute(text).fetchone() == (True,)


def test_who_may_not_is_told_and_hindered_in_nothing(site: Site) -> None:
    """A refusal undoes neither role nor schema; the doctor goes on saying it, until somebody has done it."""
    report = site.provision()
    assert report.warnings == [REFUSED]
    assert CREATED not in report.changes
    site.as_application().close()
    assert (finding(site).level, "not installed" in finding(site).says) == (Level.WARNING, True)
    with site.as_superuser() as admin:
        admin.execute("create extension pg_stat_statements")
    assert finding(site).level is Level.OK
    assert site.provision().warnings == []


@pytest.fixture
def unloaded(server: PostgresServer) -> Iterator[PostgresServer]:
    """A server that has not loaded the library."""
    usual, server.settings = server.settings, {**server.settings, "shared_preload_libraries": ""}
    server.restart()
    yield server
    server.settings = usual
    server.restart()


def test_a_server_that_has_not_loaded_it_is_left_alone(site: Site, unloaded: PostgresServer) -> None:
    """Installed it would only fail; the doctor says what to set."""
    assert unloaded is site.server
    assert site.provision().warnings == []
    assert (finding(site).level, "shared_preload_libraries" in finding(site).advice) == (Level.WARNING, True)
