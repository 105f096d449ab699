"""Two users that a rotation alternates between: both are as they should be, whoever is named in the secret."""

import secrets

from psycopg import sql

from tests.canary import VALUE
from tests.provision.conftest import Site


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
