"""What provisioning refuses, or fails at, leaves nothing behind and is told with the reason."""

import time
from dataclasses import replace

import pytest
from psycopg import sql

from db import UnreachableError
from local.postgres import free_port
from provision.errors import BudgetExceededError, RoleRefusedError, StepRefusedError
from provision.provisioning import provision
from tests.provision.conftest import Site, role, tables


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
    assert time.monotonic() - began < 20


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
