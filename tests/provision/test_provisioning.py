"""What provisioning makes of a database, on a real server, by a master who is no superuser."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from psycopg import errors, sql

import migrations
from db import Database, Tls
from provision.provisioning import Report, provision
from tests.canary import VALUE
from tests.faults.tls import Authority, TlsFront
from tests.provision.conftest import HEAD, REMAINING_MS, STEPS, Site, role, tables


def test_an_empty_database_gets_schema_role_and_rights(site: Site) -> None:
    """From nothing: the application logs in with its secret's password and reads and writes rows."""
    report = site.provision()
    assert report.revision == HEAD
    assert report.changes[:1] == ["create the role"]
    assert [change for change in report.changes if "migrate" in change] == [f"migrate to {step}" for step in STEPS]
    with site.as_application() as application:
        application.execute("insert into records (name, payload) values (%s, '{}')", [VALUE])
        application.execute("update records set payload = '{\"b\": 1}'")
        assert application.execute("delete from records returning name").fetchall() == [(VALUE,)]


@pytest.mark.parametrize(
    "statement",
    [
        "create table mine (id int)",
        "drop table records",
        "alter table records add column mine int",
        "truncate records",
        "create schema mine",
        "create role mine",
        "create database mine",
        "update alembic_version set version_num = '0'",
        "delete from alembic_version",
    ],
)
def test_the_application_may_not_change_what_is_not_its_own(provisioned: Site, statement: str) -> None:
    """Rows and nothing else: no table, no schema, no role, no database, no revision."""
    with provisioned.as_application() as application, pytest.raises(errors.InsufficientPrivilege):
        application.execute(statement)


def test_the_revision_is_the_migrations_alone(site: Site) -> None:
    """Rights on it that somebody gave are taken back; reading it stays."""
    site.provision()
    with site.as_master() as master:
        master.execute(sql.SQL("grant all on alembic_version to {}").format(sql.Identifier(site.role)))
    site.provision()
    with site.as_application() as application:
        assert application.execute("select version_num from alembic_version").fetchone() == (HEAD,)
        with pytest.raises(errors.InsufficientPrivilege):
            application.execute("delete from alembic_version")


def test_the_role_has_limit_and_settings_of_its_own(site: Site) -> None:
    """A limit from the budget, half as much again as the fleet; time-outs and search_path in this database."""
    report = site.provision(StatementTimeoutS=7, IdleInTransactionTimeoutS=8, IdleSessionTimeoutS=9)
    assert report.connection_limit == role(site, "rolconnlimit") == 12
    with site.as_application() as application:
        shown = {
            name: application.execute(f"show {name}").fetchone()
            for name in ("statement_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout")
        }
        assert shown == {
            "statement_timeout": ("7s",),
            "idle_in_transaction_session_timeout": ("8s",),
            "idle_session_timeout": ("9s",),
        }
        assert application.execute("show search_path").fetchone() == ("public",)


def test_behind_a_pooler_idle_sessions_are_the_poolers_business(site: Site) -> None:
    """No idle_session_timeout for sessions that a pooler keeps; and the limit is all but the headroom."""
    report = site.provision(Mode="pooler")
    assert report.connection_limit == 22
    with site.as_application() as application:
        assert application.execute("show idle_session_timeout").fetchone() == ("0",)


def test_doing_it_again_changes_nothing(site: Site) -> None:
    """A retry finds everything there, leaves the password alone, and keeps the rows."""
    site.provision()
    with site.as_application() as application:
        application.execute("insert into records (name, payload) values ('kept', '{}')")
    with site.as_superuser() as admin:
        kept = admin.execute("select rolpassword from pg_authid where rolname = %s", [site.role]).fetchone()
        assert site.provision().changes == []
        again = admin.execute("select rolpassword from pg_authid where rolname = %s", [site.role]).fetchone()
    assert again == kept
    with site.as_application() as application:
        assert application.execute("select name from records").fetchall() == [("kept",)]


def test_a_database_that_is_migrated_already_gets_the_rest(site: Site) -> None:
    """The schema was made by hand, with rows: role and rights are added, no step is run again."""
    database = Database(site.owner())
    migrations.upgrade(database.engine)
    database.close()
    report = site.provision()
    assert not [change for change in report.changes if change.startswith("migrate")]
    with site.as_application() as application:
        application.execute("insert into records (name, payload) values ('a', '{}')")


def test_tables_to_come_are_the_applications_too(site: Site) -> None:
    """What a later migration makes needs no grant of its own; its sequence neither."""
    site.provision()
    with site.as_master() as master:
        master.execute("create table later (id serial primary key)")
    with site.as_application() as application:
        application.execute("insert into later default values")


def test_tables_of_others_stay_out_of_reach(site: Site) -> None:
    """A schema that others use too: their tables are neither granted nor in the way."""
    with site.as_superuser() as admin:
        admin.execute("create table theirs (id int)")
    site.provision()
    with site.as_application() as application, pytest.raises(errors.InsufficientPrivilege):
        application.execute("select * from theirs")


def test_two_at_once_do_it_one_after_the_other(site: Site) -> None:
    """Both succeed; only one of them has created and migrated."""
    gate = threading.Barrier(2)

    def attempt(_: int) -> list[str]:
        gate.wait()
        return site.provision().changes

    with ThreadPoolExecutor(2) as threads:
        changes = [change for report in threads.map(attempt, range(2)) for change in report]
    assert changes.count("create the role") == 1
    assert changes.count(f"migrate to {HEAD}") == 1


def test_no_password_travels_in_clear(site: Site) -> None:
    """What the server sees and may log, is a verifier."""
    site.provision()
    log = site.server.log()
    assert f'create role "{site.role}" login connection limit 12 password \'SCRAM-SHA-256$4096:' in log
    assert site.password not in log


def test_a_newer_schema_is_left_as_it_is(site: Site) -> None:
    """Code that was rolled back meets the schema of the code that failed: it succeeds, and says so."""
    site.provision()
    with site.as_master() as master:
        master.execute("update alembic_version set version_num = '9999'")
    report = site.provision()
    assert report.revision == "9999"
    assert report.warnings == ["the schema's revision 9999 is newer than this code: left as it is"]


def test_iam_is_granted_where_it_is_asked_for_and_only_there(site: Site, folder: Path) -> None:
    """With rds_iam a password no longer counts on RDS, so who logs in by password must not have it."""
    member = f"pg_has_role('{site.role}', 'rds_iam', 'member')"
    assert "let the role log in by IAM" in by_iam(site, folder, site.role).changes
    assert role(site, member) is True
    assert "let the role log in by password" in site.provision().changes
    assert role(site, member) is False


def by_iam(site: Site, folder: Path, user: str) -> Report:
    """Provision a `user` that logs in by IAM, in the place of the secret's."""
    authority = Authority(folder)
    with TlsFront(site.server.port, authority.certificate("localhost")) as front:
        owner = site.owner(host="localhost", port=front.port, tls=Tls.VERIFY_FULL, tls_ca=str(authority.file))
        return provision(owner, site.plan(ApplicationSecretId="", ApplicationUser=user), REMAINING_MS)


def test_who_logs_in_by_iam_leaves_the_secrets_user_its_login(site: Site, folder: Path) -> None:
    """A stack that changes to IAM has both for a while: the new version's role is complete, the old one's as it was."""
    site.provision()
    user = f"{site.role}_iam"
    report = by_iam(site, folder, user)
    assert (report.role, report.changes[:2]) == (user, ["create the role", "let the role log in by IAM"])
    with site.as_application() as application:
        application.execute("insert into records (name, payload) values (%s, '{}')", [VALUE])
    for right in ("select", "insert", "update", "delete"):
        assert role(site, f"has_table_privilege('{user}', 'records', '{right}')") is True
    assert role(site, f"pg_has_role('{site.role}', 'rds_iam', 'member')") is False


@pytest.mark.parametrize("schema", ["app", 'we"ird; drop: %s schema'])
def test_another_schema_is_made_and_used(site: Site, schema: str) -> None:
    """Whatever its name holds."""
    site.provision(SchemaName=schema)
    site.provision(SchemaName=schema)
    assert tables(site) == set()
    with site.as_application() as application:
        application.execute("insert into records (name, payload) values ('a', '{}')")


def test_a_role_of_any_name_is_made(site: Site) -> None:
    """Names are quoted, never pasted."""
    site.role = 'we"ird; drop: %s role'
    site.keep_secret()
    site.provision()
    assert site.provision().changes == []
    site.as_application().close()
