"""What parameters come to in the variables of functions and elsewhere, in stacks of different kinds."""

import pytest

from tests.contract.resolution import Resolution
from tests.contract.stack import functions, resources, template
from tests.stacks.combinations import GIVEN_DATABASE

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
