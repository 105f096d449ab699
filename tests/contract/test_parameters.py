"""What parameters come to in the variables of functions and elsewhere, in stacks of different kinds."""

import re

import pytest

from db import ConfigurationError, DatabaseSettings
from tests.contract.resolution import Resolution
from tests.contract.stack import functions, resources, template
from tests.stacks.combinations import ADMINISTRATOR, GIVEN_DATABASE, IAM_TO_GIVEN, MONITOR

SHARED = template()["Globals"]["Function"]["Environment"]["Variables"]
POOLER = {**GIVEN_DATABASE, "ConnectionMode": "pooler", "DatabaseHost": "pooler.example.com", "DatabasePort": "6432"}


@pytest.mark.parametrize(
    ("given", "port", "servers"),
    [
        (GIVEN_DATABASE, "", ""),
        (POOLER, "6432", ""),
        ({**POOLER, "ConnectionMode": "direct"}, "6432", "6432"),
        ({**GIVEN_DATABASE, "ConnectionMode": "proxy"}, "5432", ""),
    ],
    ids=["secret's", "pooler", "direct", "proxy"],
)
def test_a_port_goes_with_its_host(given: dict[str, str], port: str, servers: str) -> None:
    """The pooler's is the application's; who goes to the server itself goes to the server's own."""
    resolution = Resolution(given)
    planned = resources("Custom::Schema")["Schema"]["Plan"]["ApplicationPort"]
    assert resolution.of(SHARED["DB_PORT"]) == resolution.of(planned) == port
    for name in ("MonitorFunction", "ProvisionFunction"):
        assert resolution.of(functions()[name]["Environment"]["Variables"]["DB_PORT"]) == servers


@pytest.mark.parametrize("text", ["", "0", "1", "080", "5432", "65535", "65536", "70000", "99999", "100000", "100001"])
@pytest.mark.parametrize(("parameter", "variable"), [("DatabasePort", "DB_PORT"), ("FleetSlots", "DB_FLEET_SLOTS")])
def test_a_number_that_the_functions_would_refuse_is_refused_before_anything_is_made(
    parameter: str, variable: str, text: str
) -> None:
    """A deployment that fails at its end has made a database by then."""
    try:
        DatabaseSettings.from_env({"DB_SECRET_ID": "s", variable: text})
    except ConfigurationError:
        is_taken = False
    else:
        is_taken = not text.startswith("0")
    assert bool(re.fullmatch(template()["Parameters"][parameter]["AllowedPattern"], text)) is is_taken


@pytest.mark.parametrize(
    ("given", "name"),
    [({}, "slotwise"), (GIVEN_DATABASE, ""), ({"DatabaseName": "app"}, "app")],
    ids=["own", "given", "named"],
)
def test_a_given_database_is_the_secrets_unless_another_is_named(given: dict[str, str], name: str) -> None:
    """Who gives a secret with a dbname is not connected elsewhere; the stack's own database has a name in any case."""
    resolution = Resolution(given)
    assert resolution.of(SHARED["DB_NAME"]) == name
    if resolution.holds("MakesDatabase"):
        assert resolution.of(resources("AWS::RDS::DBCluster")["Database"]["DatabaseName"]) == name


@pytest.mark.parametrize(("capacity", "sleeps"), [("0", True), ("0.0", True), ("0.5", False), ("10", False)])
def test_a_database_that_may_sleep_is_not_looked_at(capacity: str, *, sleeps: bool) -> None:
    """However its capacity is written; a given database, whose capacity that is not, always is."""
    assert Resolution({"MinCapacity": capacity}).holds("DatabaseMaySleep") is sleeps
    assert not Resolution({**GIVEN_DATABASE, "MinCapacity": capacity}).holds("DatabaseMaySleep")


@pytest.mark.parametrize(("given", "others"), [({}, 2), (GIVEN_DATABASE, 1)], ids=["provisions", "does not"])
def test_the_connections_that_are_told_are_those_of_the_functions_that_there_are(
    given: dict[str, str], others: int
) -> None:
    """The monitor's in any case, the provision function's where that is made."""
    told = Resolution(given).of(template()["Outputs"]["FunctionConnections"]["Value"])
    assert told == f"(20 + 2) x 1 + {others}"


def made(given: dict[str, str], part: str = "Resources") -> set[str]:
    """Return what a stack with these parameters has of a part of the template."""
    resolution = Resolution(given)
    return {
        name
        for name, each in template()[part].items()
        if "Condition" not in each or resolution.holds(each["Condition"])
    }


def test_by_iam_the_application_has_no_secret() -> None:
    """None is made, attached, rotated, read or told of; the monitor's is, and all else."""
    by_secret, by_iam = made({}), made({"IamUser": "app_iam"})
    secret = {"ApplicationSecret", "ApplicationSecretAttachment", "ApplicationSecretRotation"}
    assert by_secret - by_iam == secret | {"ApplicationLogin"}
    assert by_iam - by_secret == {"ApplicationIamLogin"}
    assert made({}, "Outputs") - made({"IamUser": "app_iam"}, "Outputs") == {"ApplicationSecretArn"}
    assert made({"IamUser": "app_iam"}, "Outputs") <= made({}, "Outputs")


@pytest.mark.parametrize(
    ("given", "host"),
    [({"IamUser": "app_iam"}, "Database.Endpoint.Address"), (IAM_TO_GIVEN, IAM_TO_GIVEN["DatabaseHost"])],
    ids=["own", "given"],
)
def test_by_iam_those_log_in_that_serve_the_api_and_no_others(given: dict[str, str], host: str) -> None:
    """At the database's own endpoint, for which RDS knows their tokens; monitor and administrator have a secret."""
    resolution = Resolution(given)
    for name, function in functions().items():
        variables = resolution.of({**SHARED, **function.get("Environment", {}).get("Variables", {})})
        by_iam = name in {"RecordsFunction", "HealthFunction"}
        assert variables.get("DB_IAM_USER") == ("app_iam" if by_iam else None)
        assert bool(variables["DB_SECRET_ID"]) is not by_iam
        assert variables["DB_HOST"].endswith(host)


def test_without_iam_no_function_hears_of_it() -> None:
    """A variable without a value is none: a stack that logs in by its secret is as it was before there was IamUser."""
    by_secret = Resolution({})
    for name in ("RecordsFunction", "HealthFunction"):
        assert functions()[name]["Environment"]["Variables"]["DB_IAM_USER"]["Fn::If"][2] == {"Ref": "AWS::NoValue"}
        assert by_secret.of(functions()[name]["Environment"]["Variables"]) == {"DB_IAM_USER": None}
    assert by_secret.of(SHARED["DB_SECRET_ID"]).endswith("ApplicationSecretAttachment")


@pytest.mark.parametrize(
    ("given", "role"),
    [
        ({"IamUser": "app_iam"}, '"Schema.Role"'),
        ({**IAM_TO_GIVEN, "AdministratorSecretArn": ADMINISTRATOR}, '"Schema.Role"'),
        (IAM_TO_GIVEN, '"app_iam"'),
        (GIVEN_DATABASE, "null"),
    ],
    ids=["own", "provisioned", "given", "by secret"],
)
def test_the_monitor_is_told_whose_transactions_it_may_end(given: dict[str, str], role: str) -> None:
    """Those of the role that the functions log in as; the monitor's own where both have the same login."""
    told = functions()["MonitorFunction"]["Events"]["EachMinute"]["Properties"]["Input"]["Fn::Sub"][1]["Role"]
    assert Resolution(given).of(told) == role


@pytest.mark.parametrize(
    ("given", "login"),
    [
        (GIVEN_DATABASE, "application"),
        ({**GIVEN_DATABASE, "MonitorSecretArn": MONITOR}, "own"),
        (IAM_TO_GIVEN, "own"),
        ({}, "own"),
    ],
    ids=["application's", "given", "iam", "made"],
)
def test_the_budget_counts_the_monitor_as_who_it_logs_in_as(given: dict[str, str], login: str) -> None:
    """Where the functions log in by IAM, its secret is of another role than theirs."""
    shares = resources("Custom::Schema")["Schema"]["Plan"]["Functions"]
    (monitors,) = [share for share in shares if share["Function"] == "monitor"]
    assert Resolution(given).of(monitors["Login"]) == login
