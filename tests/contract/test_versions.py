"""A parameter's new value reaches the traffic: it makes a version, which the alias then moves to.

An alias leads to a version, and a version is a copy of the function as it was. SAM publishes a new one where the code
has changed, and sees references, not values. CloudFormation replaces a version where its description has changed; and
fails where Lambda finds the function as it was ("A version for this Lambda function exists").

https://docs.aws.amazon.com/lambda/latest/api/API_PublishVersion.html
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.contract.resolution import Resolution
from tests.contract.stack import functions, template
from tests.stacks.combinations import COMBINATIONS

MOST_CHARACTERS = 256
NOT_OF_A_VERSION = {
    *("AutoPublishAlias", "DeploymentPreference", "Description", "EventInvokeConfig", "Events", "FunctionName"),
    *("ReservedConcurrentExecutions", "Tags", "VersionDescription"),
}
"""Of the function, of the alias, or of what calls it: a change of these leaves nothing to publish."""
OTHERS = {
    "DatabaseSecretArn": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:other-AbCdEf",
    "AdministratorSecretArn": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:other-GhIjKl",
    "MonitorSecretArn": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:other-MnOpQr",
    "DatabaseKeyArn": "arn:aws:kms:eu-central-1:123456789012:key/other",
    "DatabaseAuthorities": "system",
    "AlarmTopicArn": "arn:aws:sns:eu-central-1:123456789012:others",
    "SecretsExtensionArn": "arn:aws:lambda:eu-central-1:123456789012:layer:AWS-Parameters-and-Secrets:2",
    "SecretsManagerEndpoint": "https://vpce-0a1b2c3d4e5f60718-abcdefgh.secretsmanager.eu-central-1.vpce.amazonaws.com",
    "VpcId": "vpc-1a1b2c3d",
    "SubnetIds": "subnet-2a1b2c3d,subnet-3a1b2c3d",
    "SecurityGroupIds": "sg-1a1b2c3d",
    "VpcCidr": "10.89.0.0/22",
    "DatabaseHost": "other.example.com",
    "CorsOrigins": "https://other.example.com",
    "JwtIssuer": "https://other.example.com",
    "EngineVersion": "17.9",
    "IamUser": "other_iam",
    "DatabaseResourceId": "db-ABCDEFGHIJKL01234",
}
"""Another value, where that is more than another text or number."""
LONG = {
    "VpcId": "vpc-0a1b2c3d4e5f60718",
    "SubnetIds": ",".join(f"subnet-0a1b2c3d4e5f6071{zone}" for zone in range(3)),
    "SecurityGroupIds": "sg-0a1b2c3d4e5f60718",
    "DatabaseSecretArn": "arn:aws:secretsmanager:ap-southeast-2:123456789012:secret:"
    "rds!cluster-0a1b2c3d-0000-4000-8000-000000000000-AbCdEf",
    "DatabaseHost": "pgbouncer-0123456789abcdef.elb.ap-southeast-2.amazonaws.com",
    "DatabasePort": "16432",
    "DatabaseName": "application",
    "ConnectionMode": "pooler",
    "SnapStart": "PublishedVersions",
}
LONG_BY_IAM = {
    **LONG,
    "DatabaseHost": "records-prod.cluster-abcdefghijkl.ap-southeast-2.rds.amazonaws.com",
    "ConnectionMode": "direct",
    "IamUser": "records_application",
}


def _others(name: str, now: str) -> list[str]:
    """Return every other value that a parameter may have, or one."""
    declared = template()["Parameters"][name]
    if "AllowedValues" in declared:
        return [str(value) for value in declared["AllowedValues"] if str(value) != now]
    if declared["Type"] == "Number":
        return [str(float(now) + 1)]
    return [OTHERS.get(name, "17")]


def _changes() -> Iterator[tuple[str, Mapping[str, str], str, str]]:
    for combination, given in COMBINATIONS.items():
        for name, declared in template()["Parameters"].items():
            now = given.get(name, str(declared["Default"]))
            for other in _others(name, now):
                yield combination, given, name, other


def _seen(function: str, given: Mapping[str, str]) -> tuple[Any, Any]:
    """Return what a version of the function is, and its description."""
    resolution = Resolution(given)
    shared, own = template()["Globals"]["Function"], functions()[function]
    version = {name: value for name, value in {**shared, **own}.items() if name not in NOT_OF_A_VERSION}
    version["Environment"] = {**_variables(shared), **_variables(own)}
    return resolution.of(version), resolution.of(own["VersionDescription"])


def _variables(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {**properties.get("Environment", {}).get("Variables", {})}


@pytest.mark.parametrize("function", functions())
def test_a_version_is_published_where_the_function_changes_and_nowhere_else(function: str) -> None:
    """Each parameter, from each combination that is tried, to another value: the two change together, or neither."""
    for combination, given, name, other in _changes():
        (before, described), (after, described_after) = _seen(function, given), _seen(function, {**given, name: other})
        assert (before != after) == (described != described_after), f"{name}={other} in {combination}"


def test_the_parameters_that_are_a_functions_change_it() -> None:
    """Else the test before would hold of a template without parameters."""
    changing = {
        name for _, given, name, other in _changes()
        if _seen("RecordsFunction", given)[0] != _seen("RecordsFunction", {**given, name: other})[0]
    }  # fmt: skip
    assert {
        "PoolSize",
        "ConnectionMode",
        "LogLevel",
        "SnapStart",
        "DatabaseSecretArn",
        "SlowStatementPlans",
    } <= changing
    assert {"MemorySize", "SubnetIds", "SecurityGroupIds", "DatabaseHost", "RotationDays", "FleetSlots"} <= changing
    assert {"RecordsConcurrency", "HealthConcurrency", "IamUser"} <= changing
    assert not changing & {"Headroom", "ThrottleRate", "Deployment", "LogRetentionDays"}


@pytest.mark.parametrize("function", functions())
@pytest.mark.parametrize(
    "given", [*COMBINATIONS.values(), LONG, LONG_BY_IAM], ids=[*COMBINATIONS, "long", "long by iam"]
)
def test_a_description_is_one_that_lambda_takes(function: str, given: Mapping[str, str]) -> None:
    """Neither too long with names of the usual length, nor with a certificate in it."""
    for authorities in ("rds", "-----BEGIN CERTIFICATE-----\n" + "M" * 2000):
        description = _seen(function, {**given, "DatabaseAuthorities": authorities})[1]
        assert len(description) <= MOST_CHARACTERS
        assert "MMM" not in description
