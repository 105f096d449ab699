"""What values of the template come to with given parameters, as CloudFormation works them out. Knows no resource.

Of a resource that it refers to it returns a name: whatever that is, it is the same as long as the resource is.
"""

import re
from collections.abc import Mapping
from typing import Any

from tests.contract.stack import template


class Resolution:
    """The template with parameters of which those that are not given have their defaults."""

    def __init__(self, given: Mapping[str, str]) -> None:
        defaults = {name: str(declared["Default"]) for name, declared in template()["Parameters"].items()}
        self._parameters = {"AWS::StackName": "slotwise", "AWS::NoValue": None, **defaults, **given}

    def of(self, value: Any) -> Any:  # noqa: ANN401 - YAML
        """Return the value without intrinsic functions."""
        if isinstance(value, list):
            return [self.of(each) for each in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            ((name, given),) = value.items()
            if name == "Ref":
                return self._parameters.get(given, f"arn:aws:a:b:c:secret:{given}")
            if name.startswith("Fn::"):
                return self._function(name.removeprefix("Fn::"), given)
        return {name: self.of(each) for name, each in value.items()}

    def _function(self, name: str, given: Any) -> Any:  # noqa: ANN401 - YAML
        if name == "If":
            condition, then, otherwise = given
            return self.of(then if self.holds(condition) else otherwise)
        if name == "GetAtt":
            return f"arn:aws:a:b:c:secret:{'.'.join(given)}"
        given = self.of(given)
        if name == "Join":
            return given[0].join(map(str, given[1]))
        if name == "Split":
            return given[1].split(given[0])
        if name == "Select":
            return given[1][int(given[0])]
        assert name == "Sub", f"Fn::{name} is not known here"
        return re.sub(r"\$\{([\w:.]+)\}", lambda found: str(self._parameters.get(found[1], found[1])), given)

    def holds(self, condition: Any) -> bool:  # noqa: ANN401 - YAML
        """Return whether a condition, by its name or as it is written, is met."""
        if isinstance(condition, str):
            return self.holds(template()["Conditions"][condition])
        ((name, given),) = condition.items()
        if name == "Condition":
            return self.holds(given)
        if name == "Fn::Equals":
            first, second = map(self.of, given)
            return bool(first == str(second))
        held = [self.holds(each) for each in given]
        return {"Fn::Not": not held[0], "Fn::And": all(held), "Fn::Or": any(held)}[name]
