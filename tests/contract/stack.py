"""template.yaml as data, its intrinsic functions in their long form. Knows nothing of what it should say."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms."""


def _intrinsic(loader: yaml.SafeLoader, name: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
        value = value.split(".", 1) if name == "GetAtt" else value
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    return {name if name in {"Ref", "Condition"} else f"Fn::{name}": value}


_Loader.add_multi_constructor("!", _intrinsic)


@cache
def template() -> dict[str, Any]:
    """Return the template."""
    parsed: dict[str, Any] = yaml.load((ROOT / "template.yaml").read_text(), _Loader)  # noqa: S506 - a SafeLoader
    return parsed


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """Return the properties of the resources of `kind`, by logical id."""
    return {
        name: declared.get("Properties", {})
        for name, declared in template()["Resources"].items()
        if declared["Type"] == kind
    }


def functions() -> dict[str, dict[str, Any]]:
    """Return the functions' properties, by logical id."""
    return resources("AWS::Serverless::Function")


def routes() -> dict[str, str]:
    """Return the handler that serves each route, by API Gateway's route key."""
    return {
        f"{event['Properties']['Method']} {event['Properties']['Path']}": function["Handler"]
        for function in functions().values()
        for event in function.get("Events", {}).values()
        if event["Type"] == "HttpApi"
    }


def variables() -> dict[str, Any]:
    """Return the environment variables of all functions, with the parameters' defaults where they refer to one.

    Where one has a value of its own, the value is that of the others.
    """
    given: dict[str, Any] = {}
    for function in (*functions().values(), template()["Globals"]["Function"]):
        given.update(function.get("Environment", {}).get("Variables", {}))
    return {name: _default(value) for name, value in given.items()}


def _default(value: Any) -> Any:  # noqa: ANN401 - YAML
    if isinstance(value, dict) and "Ref" in value:
        return template()["Parameters"].get(value["Ref"], {}).get("Default", value)
    return value
