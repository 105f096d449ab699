"""What CloudFormation makes first: it waits for what is referred to, and for nothing else."""

from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from tests.contract.resolution import Resolution
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
    return _named(part) | {name for each in part.values() for name in _referred_to(each)}


def _named(part: dict[str, Any]) -> set[str]:
    """Return what this part itself refers to."""
    named = {str(part["Ref"])} if "Ref" in part else set()
    return named | ({str(part["Fn::GetAtt"][0])} if "Fn::GetAtt" in part else set())


@pytest.mark.parametrize("name", WAITS)
def test_what_works_on_the_database_waits_until_it_can(name: str) -> None:
    """For the instance that takes connections, for the way to it, and for the right to the key."""
    assert _referred_to(template()["Resources"][name]["Properties"]) >= WAITS[name]


@pytest.mark.parametrize("name", WAITS)
def test_what_is_waited_for_is_there_wherever_it_is_referred_to(name: str) -> None:
    """A reference to what a condition has left out fails the deployment: what is around it allows no such stack."""
    conditions = {each: declared.get("Condition") for each, declared in template()["Resources"].items()}
    for each, path in _reached(template()["Resources"][name]["Properties"]):
        own = conditions[name]
        around = [*path, (own, True)] if own else path
        assert not conditions.get(each) or _implied(conditions[each], around), f"{each} under {around}"


Path = list[tuple[str, bool]]
"""Conditions, and whether they hold."""


def _reached(part: Any, path: Path | None = None) -> Iterator[tuple[str, Path]]:  # noqa: ANN401 - YAML
    """Yield everything that is referred to, with what holds where it is."""
    path = path or []
    if isinstance(part, list):
        for each in part:
            yield from _reached(each, path)
    elif isinstance(part, dict) and "Fn::If" in part:
        condition, then, otherwise = part["Fn::If"]
        yield from _reached(then, [*path, (condition, True)])
        yield from _reached(otherwise, [*path, (condition, False)])
    elif isinstance(part, dict):
        yield from ((name, path) for name in _named(part))
        yield from _reached(list(part.values()), path)


def _implied(condition: str, path: Path) -> bool:
    """Return whether the condition holds with all parameters with which the path does."""
    names = sorted({name for each in (condition, *(each for each, _ in path)) for name in _parameters_of(each)})
    for values in product(*map(_values, names)):
        resolution = Resolution(dict(zip(names, values, strict=True)))
        if all(resolution.holds(each) is held for each, held in path) and not resolution.holds(condition):
            return False
    return True


def _parameters_of(condition: str) -> set[str]:
    written = template()["Conditions"][condition]
    nested = {name for each in _conditions_in(written) for name in _parameters_of(each)}
    return _referred_to(written) | nested


def _conditions_in(part: Any) -> set[str]:  # noqa: ANN401 - YAML
    if isinstance(part, dict) and "Condition" in part:
        return {str(part["Condition"])}
    parts = part if isinstance(part, list) else part.values() if isinstance(part, dict) else ()
    return {name for each in parts for name in _conditions_in(each)}


def _values(parameter: str) -> list[str]:
    return [str(value) for value in template()["Parameters"][parameter].get("AllowedValues", ("", "given"))]
