"""Parameters that do not go together are refused before anything is made, with a sentence that says why.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/rules-section-structure.html
"""

from typing import Any

import pytest

from tests.contract.stack import template
from tests.stacks.combinations import (
    ADMINISTRATOR,
    COMBINATIONS,
    GIVEN_DATABASE,
    GIVEN_NETWORK,
    IAM_TO_GIVEN,
    MONITOR,
)

EXTENSION = "arn:aws:lambda:eu-central-1:123456789012:layer:AWS-Parameters-and-Secrets:1"
REFUSED = [
    ({**GIVEN_DATABASE, "VpcId": "", "SubnetIds": ""}, "VpcId must say where that database is"),
    ({**GIVEN_DATABASE, "SecurityGroupIds": ""}, "SecurityGroupIds must be groups which that database lets in"),
    ({"AdministratorSecretArn": ADMINISTRATOR}, "leave AdministratorSecretArn empty"),
    ({"MonitorSecretArn": MONITOR}, "leave MonitorSecretArn empty"),
    ({**GIVEN_NETWORK, "SecurityGroupIds": "sg-0a1b2c3d"}, "leave SecurityGroupIds empty"),
    ({**GIVEN_NETWORK, "SecretsManagerEndpoint": "https://vpce.example.com"}, "leave SecretsManagerEndpoint empty"),
    ({"VpcId": "vpc-0a1b2c3d"}, "SubnetIds must be two or more"),
    ({"SubnetIds": "subnet-0a1b2c3d,subnet-1a1b2c3d"}, "leave SubnetIds empty, or say their VpcId"),
    ({"ConnectionMode": "pooler"}, "DatabaseHost must be the pooler's"),
    ({"DatabasePort": "6432"}, "DatabaseHost must say whose it is"),
    ({**GIVEN_DATABASE, "ConnectionMode": "proxy", "DatabaseClusterId": ""}, "which cluster the proxy is for"),
    ({"ConnectionMode": "proxy", "RotationUsers": "alternating"}, "RotationUsers must be single"),
    ({**GIVEN_DATABASE, "ConnectionMode": "proxy", "RotationUsers": "alternating"}, "RotationUsers must be single"),
    ({"IamUser": "app_iam", "ConnectionMode": "proxy"}, "ConnectionMode must be direct"),
    ({**IAM_TO_GIVEN, "ConnectionMode": "pooler"}, "ConnectionMode must be direct"),
    ({"IamUser": "app_iam", "RotationUsers": "alternating"}, "RotationUsers must be single"),
    ({**IAM_TO_GIVEN, "DatabaseHost": ""}, "DatabaseHost must be that database's own endpoint"),
    ({**IAM_TO_GIVEN, "DatabaseName": ""}, "DatabaseName must say which database"),
    ({**IAM_TO_GIVEN, "DatabaseResourceId": ""}, "DatabaseResourceId must say"),
    ({"IamUser": "app_iam", "DatabaseHost": "db.example.com"}, "leave DatabaseHost empty"),
    ({"IamUser": "app_iam", "DatabaseResourceId": "cluster-ABCDEFGHIJKL01234"}, "leave DatabaseResourceId empty"),
    ({"IamUser": "slotwise_admin"}, "IamUser must be neither"),
    ({"IamUser": "slotwise_monitor"}, "IamUser must be neither"),
    ({"Authorization": "jwt", "JwtAudience": "web"}, "whose tokens count"),
    (
        {"SnapStart": "PublishedVersions", "SecretsExtensionArn": "arn:aws:lambda:::layer:x:1"},
        "leave SecretsExtensionArn",
    ),
    ({"Authorization": "jwt", "JwtIssuer": "https://issuer.example.com"}, "whose tokens count"),
]


def _holds(condition: dict[str, Any], parameters: dict[str, Any]) -> bool:
    """Evaluate the functions that rules may use and ours do."""
    ((function, given),) = condition.items()
    if function == "Fn::Equals":
        first, second = (parameters[each["Ref"]] if isinstance(each, dict) else each for each in given)
        return bool(first == second)
    held = [_holds(each, parameters) for each in given]
    return {"Fn::Not": not held[0], "Fn::And": all(held), "Fn::Or": any(held)}[function]


def _complaints(changes: dict[str, str]) -> list[str]:
    """Return what CloudFormation says of a stack with these parameters."""
    parameters = {name: declared["Default"] for name, declared in template()["Parameters"].items()} | changes
    return [
        assertion["AssertDescription"]
        for rule in template()["Rules"].values()
        if _holds(rule["RuleCondition"], parameters)
        for assertion in rule["Assertions"]
        if not _holds(assertion["Assert"], parameters)
    ]


@pytest.mark.parametrize("name", COMBINATIONS)
def test_what_goes_together_is_accepted(name: str) -> None:
    """No rule stands in the way of a stack that works."""
    assert _complaints(dict(COMBINATIONS[name])) == []


@pytest.mark.parametrize(("changes", "says"), REFUSED)
def test_what_does_not_go_together_is_refused(changes: dict[str, str], says: str) -> None:
    """One sentence, that names the parameter to change."""
    (complaint,) = _complaints(changes)
    assert says in complaint


def test_every_rule_is_tried() -> None:
    """A rule that nothing breaks may be no rule."""
    broken = {complaint for changes, _ in REFUSED for complaint in _complaints(changes)}
    assert broken == {each["AssertDescription"] for rule in template()["Rules"].values() for each in rule["Assertions"]}
