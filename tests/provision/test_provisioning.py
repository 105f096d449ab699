"""What provisioning makes of a database, on a real server, by a master who is no superuser."""

import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from psycopg import errors, sql

import migrations
from db import Database, Tls, UnreachableError
from local.postgres import free_port
from provision.errors import BudgetExceededError, RoleRefusedError, StepRefusedError
from provision.provisioning import Report, provision
from tests.canary import VALUE
from tests.faults.tls import Authority, TlsFront
from tests.provision.conftest import HEAD, REMAINING_MS, STEPS, Site


def tables(site: Site) -> set[str]:
    with site.as_master() as master:
        return {name for (name,) in master.execute("select tablename from pg_tables where schemaname = 'public'")}


def role(site: Site, what: str) -> Any:  # noqa: ANN401 - any value
    with site.as_master() as master:
        query = f"select {what} from pg_roles where rolname = %s"  # noqa: S608 - the tests' own text
        found = master.execute(query, [site.role]).fetchone()
    return found and found[0]


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


def test_over_budget_nothing_is_done_and_the_sum_is_told(site: Site) -> None:
    """27 usable slots, 5 of them for others: 12 + 12 connections are 2 too many."""
    functions = [
        {"Function": "records", "Environments": "6", "Processes": "2"},
        {"Function": "health", "Environments": "4", "PoolSize": "3"},
    ]
    with pytest.raises(BudgetExceededError) as caught:
        site.provision(Functions=functions)
    assert str(caught.value).startswith(
        "over budget: records 6 x 2 x 1 = 12, health 4 x 1 x 3 = 12, headroom 5; "
        "29 connections, and the server has 27 usable slots: 2 too many"
    )
    assert tables(site) == set()
    assert role(site, "true") is None


def test_a_limit_of_the_database_counts_too(site: Site) -> None:
    """The server has room, the database has not."""
    with site.as_master() as master:
        master.execute(sql.SQL("alter database {} connection limit 10").format(sql.Identifier(site.name)))
    with pytest.raises(BudgetExceededError, match=f"the database {site.name} has 10 usable slots: 3 too many"):
        site.provision()


def test_a_limit_that_is_asked_for_must_bear_the_fleet(site: Site) -> None:
    """CONNECTION LIMIT 7 for 8 environments would refuse one of them."""
    with pytest.raises(BudgetExceededError, match="the role has 7 usable slots: 1 too many"):
        site.provision(ConnectionLimit=7)
    assert site.provision(ConnectionLimit=9).connection_limit == 9


def test_what_fails_in_the_middle_leaves_nothing_behind(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Role, schema and rights are one transaction."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("provision.role.grant_steps", fail)
    with pytest.raises(ZeroDivisionError):
        site.provision()
    assert tables(site) == set()
    assert role(site, "true") is None


def test_with_the_database_down_the_error_says_so_in_time(site: Site) -> None:
    """Nothing listens: it is waited for, since it may be waking up, and the error comes before the function's end."""
    owner = replace(site.owner(), port=free_port(), reserve_s=0.0)
    began = time.monotonic()
    with pytest.raises(UnreachableError):
        provision(owner, site.plan(), 3000)
    assert time.monotonic() - began < 5


def test_a_newer_schema_is_left_as_it_is(site: Site) -> None:
    """Code that was rolled back meets the schema of the code that failed: it succeeds, and says so."""
    site.provision()
    with site.as_master() as master:
        master.execute("update alembic_version set version_num = '9999'")
    report = site.provision()
    assert report.revision == "9999"
    assert report.warnings == ["the schema's revision 9999 is newer than this code: left as it is"]


def test_a_role_of_many_rights_is_refused(site: Site) -> None:
    """A superuser is not made the application's, whoever names it."""
    with site.as_superuser() as admin:
        admin.execute(sql.SQL("create role {} superuser login").format(sql.Identifier(site.role)))
    with pytest.raises(RoleRefusedError, match="superuser"):
        site.provision()


def test_the_owner_is_not_the_application(site: Site) -> None:
    """Who owns the tables can drop them."""
    site.keep_secret(username="master", password="x")
    with pytest.raises(RoleRefusedError, match="a role of its own"):
        site.provision()


def test_a_step_that_is_refused_is_named(site: Site) -> None:
    """A master without CREATEROLE: the step, the SQLSTATE and the advice, and no part of the statement."""
    with site.as_superuser() as admin:
        admin.execute("alter role master nocreaterole")
        try:
            with pytest.raises(StepRefusedError, match=r"create the role, SQLSTATE 42501: .*CREATEROLE") as caught:
                site.provision()
        finally:
            admin.execute("alter role master createrole")
    assert "SCRAM" not in str(caught.value)


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


# --- users that alternate ---


def described(site: Site) -> dict[str, tuple[int, list[str]]]:
    """Return the connection limit and the settings of the application's users, by what their names end in."""
    query = (
        "select rolname, rolconnlimit, setconfig from pg_roles left join pg_db_role_setting on setrole = pg_roles.oid "
        "where rolname like %s"
    )
    with site.as_master() as master:
        rows = master.execute(query, [f"{site.role}%"]).fetchall()
    return {name.removeprefix(site.role): (limit, sorted(settings or [])) for name, limit, settings in rows}


def rotate(site: Site, user: str) -> None:
    """Give `user` the secret's new password, as AWS's function does with a role that is there."""
    site.password = secrets.token_urlsafe()
    statement = sql.SQL("alter user {} with password {}").format(sql.Identifier(user), sql.Literal(site.password))
    with site.as_superuser() as admin:
        admin.execute("set log_statement = none")
        admin.execute(statement)
    site.keep_secret(username=user)


def test_the_clone_of_alternating_users_is_as_limited_as_its_user(site: Site) -> None:
    """CONNECTION LIMIT, search_path and time-outs are the same; AWS's function only gives it a password."""
    report = site.provision(AlternatingUsers="true")
    assert "alternate: create the role" in report.changes
    users = described(site)
    assert users["_clone"] == users[""]
    assert users[""][0] == report.connection_limit
    assert len(users[""][1]) >= 3
    rotate(site, f"{site.role}_clone")
    with site.connect(f"{site.role}_clone", site.password) as clone:
        clone.execute("insert into records (name, payload) values (%s, '{}')", [VALUE])
        assert clone.execute("delete from records returning name").fetchall() == [(VALUE,)]


def test_a_deployment_after_a_rotation_knows_both_users(site: Site) -> None:
    """The secret names the clone now: nothing changes, and whoever is next may do what he might."""
    site.provision(AlternatingUsers="true")
    before = described(site)
    rotate(site, f"{site.role}_clone")
    assert site.provision(AlternatingUsers="true").changes == []
    assert described(site) == before
    rotate(site, site.role)
    with site.as_application() as application:
        assert application.execute("select count(*) from records").fetchone() == (0,)


def test_a_secret_that_names_the_clone_first_gets_both_users(site: Site) -> None:
    """A new database behind a secret that has rotated."""
    site.keep_secret(username=f"{site.role}_clone")
    site.provision(AlternatingUsers="true")
    users = described(site)
    assert users["_clone"] == users[""]
    rotate(site, site.role)
    with site.as_application() as application:
        assert application.execute("select count(*) from records").fetchone() == (0,)


def test_one_user_has_no_clone(site: Site) -> None:
    """Nobody is made who is not wanted."""
    site.provision()
    assert set(described(site)) == {""}
