"""What CloudFormation makes first: it waits for what is referred to, and for nothing else."""

from typing import Any

import pytest

from tests.contract.stack import template

WAITS = {
    "Schema": {
        *("Writer", "FunctionsToDatabase", "S3Gateway", "SecretsManagerInterface", "SubnetARoutes", "SubnetBRoutes"),
        *("ProvisionKeyAccess", "ApplicationSecretAttachment", "MonitorSecretAttachment", "ProvisionFunction"),
    },
    "ProxyTargets": {"Writer", "ProxyIntoDatabase", "ProxyToDatabase", "ProxyKeyAccess", "Proxy", "Schema"},
    "RecordsFunction": {"Schema", "ProxyTargets"},
    "HealthFunction": {"Schema", "ProxyTargets"},
}


def _referred_to(part: Any) -> set[str]:  # noqa: ANN401 - YAML
    if isinstance(part, list):
        return {name for each in part for name in _referred_to(each)}
    if not isinstance(part, dict):
        return set()
    named = {str(part["Ref"])} if "Ref" in part else set()
    named |= {str(part["Fn::GetAtt"][0])} if "Fn::GetAtt" in part else set()
    return named | {name for each in part.values() for name in _referred_to(each)}


@pytest.mark.parametrize("name", WAITS)
def test_what_works_on_the_database_waits_until_it_can(name: str) -> None:
    """For the instance that takes connections, for the way to it, and for the right to the key."""
    assert _referred_to(template()["Resources"][name]["Properties"]) >= WAITS[name]


def test_what_is_waited_for_is_there_wherever_it_is_referred_to() -> None:
    """A reference to what a condition has left out fails the deployment: it has that condition around it."""
    conditions = {name: each.get("Condition") for name, each in template()["Resources"].items()}
    for name in WAITS:
        for part in _conditional(template()["Resources"][name]["Properties"]):
            condition, then, otherwise = part
            assert {conditions[each] for each in _referred_to(then) if each in conditions} <= {condition}
            assert not {each for each in _referred_to(otherwise) if conditions.get(each)}


def _conditional(part: Any) -> list[list[Any]]:  # noqa: ANN401 - YAML
    if isinstance(part, list):
        return [found for each in part for found in _conditional(each)]
    if not isinstance(part, dict):
        return []
    inner = [found for each in part.values() for found in _conditional(each)]
    return [part["Fn::If"], *inner] if "Fn::If" in part else inner
