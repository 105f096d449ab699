"""Reads template.yaml: which functions there are, which route leads to which. Knows no CloudFormation beyond that.

What a parameter or pseudo parameter stands for is its default, or what the caller says; other intrinsic functions are
not evaluated.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from local.environment import Configuration

ROOT = Path(__file__).parents[1]
FUNCTION = "AWS::Serverless::Function"


@dataclass(frozen=True, slots=True)
class Route:
    """A route of the HTTP API, in its own notation."""

    method: str
    path: str
    function: str
    """The function's logical name in the template."""

    @property
    def key(self) -> str:
        """What API Gateway calls it."""
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class _Intrinsic:
    """`!Name value`, and what it is not asked for is never looked at."""

    name: str
    value: object


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, and CloudFormation's tags."""


def _intrinsic(loader: yaml.SafeLoader, name: str, node: yaml.Node) -> _Intrinsic:
    if isinstance(node, yaml.ScalarNode):
        return _Intrinsic(name, loader.construct_scalar(node))
    if isinstance(node, yaml.SequenceNode):
        return _Intrinsic(name, loader.construct_sequence(node))
    return _Intrinsic(name, loader.construct_mapping(node) if isinstance(node, yaml.MappingNode) else None)


_Loader.add_multi_constructor("!", _intrinsic)


class Template:
    """The template with its parameters at their defaults."""

    def __init__(self, path: Path = ROOT / "template.yaml", **parameters: str) -> None:
        """Read the file; `parameters` go before the template's defaults."""
        with path.open(encoding="utf-8") as file:
            self._content: dict[str, Any] = yaml.load(file, _Loader)  # noqa: S506 - of the safe one  # nosec B506
        self._folder = path.parent
        defaults = {name: each.get("Default") for name, each in self._content.get("Parameters", {}).items()}
        self._known = {"AWS::StackName": "slotwise", "AWS::Region": "eu-central-1", **defaults, **parameters}

    @property
    def parameters(self) -> frozenset[str]:
        """The names of those that can be given."""
        return frozenset(self._content.get("Parameters", {}))

    def parameter(self, name: str) -> object:
        """Return what a parameter is; None where the template has none of that name, or no default for it."""
        return self._known.get(name)

    def functions(self) -> dict[str, Configuration]:
        """Return the functions by their logical names."""
        return {name: self._configuration(name, properties) for name, properties in self._functions()}

    def routes(self) -> list[Route]:
        """Return the routes of the HTTP API."""
        return [
            Route(str(event["Properties"]["Method"]).upper(), event["Properties"]["Path"], function)
            for function, properties in self._functions()
            for event in properties.get("Events", {}).values()
            if event["Type"] == "HttpApi"
        ]

    def dashboard(self) -> dict[str, Any]:
        """Return the dashboard's body, as CloudWatch gets it, but for what a condition adds.

        What only AWS can name keeps its name in the template.
        """
        text, values = self._content["Resources"]["Dashboard"]["Properties"]["DashboardBody"].value
        added = {name for name, value in values.items() if isinstance(value, _Intrinsic) and value.name == "If"}
        known = {name: "" if name in added else self._value(value) or name for name, value in values.items()}
        known |= self._known
        filled = re.sub(r"\$\{([\w:]+)\}", lambda found: str(known.get(found[1], found[1])), text)
        body: dict[str, Any] = json.loads(filled)
        return body

    def _functions(self) -> Iterator[tuple[str, dict[str, Any]]]:
        shared = self._content.get("Globals", {}).get("Function", {})
        for name, resource in self._content["Resources"].items():
            if resource["Type"] == FUNCTION:
                yield name, {**shared, **resource["Properties"], "Environment": _merged(shared, resource["Properties"])}

    def _configuration(self, name: str, properties: Mapping[str, Any]) -> Configuration:
        return Configuration(
            name=str(self._value(properties.get("FunctionName", name))),
            handler=properties["Handler"],
            code=(self._folder / properties["CodeUri"]).resolve(),
            timeout_s=int(self._value(properties.get("Timeout", 3))),
            memory_mb=int(self._value(properties.get("MemorySize", 128))),
            concurrency=int(self._value(properties.get("ReservedConcurrentExecutions", 10))),
            variables=self._variables(properties["Environment"]),
        )

    def _variables(self, declared: Mapping[str, object]) -> dict[str, str]:
        values = {name: self._value(value) for name, value in declared.items()}
        return {name: str(value) for name, value in values.items() if value not in {None, ""}}

    def _value(self, value: object) -> Any:  # noqa: ANN401 - any YAML
        """Return what a value stands for; None where only AWS can know."""
        if not isinstance(value, _Intrinsic):
            return value
        if value.name == "Ref":
            return self._known.get(str(value.value))
        if value.name == "Sub" and isinstance(value.value, str):
            return re.sub(r"\$\{([\w:]+)\}", lambda found: str(self._known.get(found[1], "")), value.value)
        return None


def _merged(shared: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return the environment variables of Globals with the function's own over them."""
    return {
        name: value
        for properties in (shared, own)
        for name, value in properties.get("Environment", {}).get("Variables", {}).items()
    }
