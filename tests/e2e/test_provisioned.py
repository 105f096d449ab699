"""What `make run` serves has been provisioned as a deployment is: by the function, through AWS's runtime client."""

import pytest

from local.cloudformation import ResourceFailedError, create
from local.stack import Stack, plan
from tests.faults.server import admin


def test_the_application_works_with_rows_and_owns_nothing(stack: Stack) -> None:
    """Its tables are the administrator's, and its connections are limited."""
    with admin(stack.server) as session:
        roles = dict(
            session.execute("select rolname, rolconnlimit from pg_roles where rolname like 'slotwise%'").fetchall()
        )
    with admin(stack.server, database="slotwise") as session:
        owners = session.execute("select distinct tableowner from pg_tables where schemaname = 'public'").fetchall()
    assert owners == [("slotwise_admin",)]
    assert roles == {"slotwise": 33, "slotwise_monitor": 3, "slotwise_admin": -1}


def test_the_doctor_finds_it_well(stack: Stack) -> None:
    """But for a secret that nobody rotates here."""
    found = stack.function_of("provision").invoke({"Action": "doctor", "Plan": plan()}).payload["findings"]
    wrong = {finding["check"] for finding in found if finding["level"] != "ok"}
    assert wrong == {"rotation"} | (set() if stack.server.has_tls else {"certificate"})


def test_the_monitor_looks_with_a_login_of_its_own(stack: Stack) -> None:
    """And finds what the functions leave open."""
    invocation = stack.function_of("monitor").invoke({"functions": ["slotwise-records"]})
    assert (invocation.failure, invocation.payload) == (None, {"warnings": [], "ended": 0})
    assert any('"role":"slotwise_monitor"' in line.replace(" ", "") for line in invocation.log)


def test_a_fleet_that_does_not_fit_fails_the_start(stack: Stack) -> None:
    """With the sum, as a deployment would."""
    wanted = plan() | {"Headroom": 1000}
    with pytest.raises(ResourceFailedError, match="Schema: over budget: records 20 x 1 x 1 = 20"):
        create(stack.function_of("provision"), "Schema", {"Plan": wanted})
