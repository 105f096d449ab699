"""Every combination of parameters is a stack that holds: as translated, and as deployed into an emulator."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import boto3
import pytest

from bench.dashboard.widgets import widgets
from db import DatabaseSettings
from db.settings import Mode
from tests.contract.stack import functions, routes, template
from tests.stacks.combinations import COMBINATIONS, GIVEN_DATABASE
from tests.stacks.deployment import Stack, account, deploy

UNTRIED = {"LogLevel", "LogRetentionDays", "Deployment", "DeletionProtection"}
"""Parameters whose values go through to AWS as they are."""


@pytest.fixture(scope="module", params=COMBINATIONS)
def name(request: pytest.FixtureRequest) -> str:
    """Each combination."""
    combination: str = request.param
    return combination


@pytest.fixture(scope="module")
def translated(name: str) -> Stack:
    """The combination's template, as CloudFormation's macro hands it on; `make stacks` has written it."""
    stack: Stack = json.loads((Path(os.environ["STACKS"]) / f"{name}.json").read_text())
    return stack


@pytest.fixture(scope="module")
def deployed(translated: Stack) -> Iterator[Stack]:
    """What has been made of the stack in an account of its own, by type and logical id."""
    with account():
        yield deploy(translated)


def _told(function: str) -> DatabaseSettings:
    """Return the settings that a deployed function makes of its variables."""
    configuration = boto3.client("lambda").get_function_configuration(FunctionName=function)
    variables = configuration["Environment"]["Variables"]
    return DatabaseSettings.from_env({key: value for key, value in variables.items() if value is not None})


def test_a_deployed_function_can_read_what_it_is_told(name: str, deployed: Stack) -> None:
    """Its variables, references and conditions resolved, are settings that it takes and that mean what was wanted."""
    wanted = COMBINATIONS[name]
    host = _applications_host(wanted)
    for logical_id in ("RecordsFunction", "HealthFunction"):
        settings = _told(deployed["AWS::Lambda::Function"][logical_id])
        assert settings.iam_user == wanted.get("IamUser")
        if settings.iam_user is None:
            assert str(settings.secret_id).endswith(wanted.get("DatabaseSecretArn", ":ApplicationSecretAttachment"))
        assert settings.mode is (Mode.POOLER if "ConnectionMode" in wanted else Mode.DIRECT)
        assert settings.pool_size == int(wanted.get("PoolSize", "1"))
        assert settings.host == host
        assert settings.port == (5432 if host == "Proxy.Endpoint" else int(wanted.get("DatabasePort", "0")) or None)
        assert settings.name == wanted.get("DatabaseName", None if "DatabaseSecretArn" in wanted else "slotwise")


def _applications_host(wanted: Mapping[str, str]) -> str | None:
    """Return where the functions connect to; None where their secret says that."""
    if wanted.get("ConnectionMode") == "proxy":
        return "Proxy.Endpoint"
    own = "Database.Endpoint.Address" if "IamUser" in wanted else None
    return wanted.get("DatabaseHost", None if "DatabaseSecretArn" in wanted else own)


def _servers_host(wanted: Mapping[str, str]) -> str | None:
    """Return where those connect to that go past proxy and pooler; None where their secret says that."""
    if "DatabaseSecretArn" not in wanted:
        return "Database.Endpoint.Address"
    return None if "ConnectionMode" in wanted else wanted.get("DatabaseHost")


def test_the_monitor_goes_to_the_server_itself_with_a_login_of_its_own(name: str, deployed: Stack) -> None:
    """Past the proxy or the pooler, with its own secret; with the application's only where it is given none."""
    wanted = COMBINATIONS[name]
    settings = _told(deployed["AWS::Lambda::Function"]["MonitorFunction"])
    given = wanted.get("MonitorSecretArn", wanted.get("DatabaseSecretArn", ":MonitorSecretAttachment"))
    assert str(settings.secret_id).endswith(given)
    port = None if "ConnectionMode" in wanted else int(wanted.get("DatabasePort", "0")) or None
    assert (settings.mode, settings.pool_size, settings.port) == (Mode.DIRECT, 0, port)
    assert settings.host == _servers_host(wanted)


def test_the_database_is_provisioned_by_its_administrator(name: str, deployed: Stack) -> None:
    """At the server itself, where the stack knows the administrator's secret; else not at all."""
    wanted = COMBINATIONS[name]
    makes_database = "DatabaseSecretArn" not in wanted
    provisions = deployed["AWS::Lambda::Function"].get("ProvisionFunction")
    assert bool(provisions) == (makes_database or "AdministratorSecretArn" in wanted)
    if provisions:
        settings = _told(provisions)
        assert settings.secret_id == wanted.get("AdministratorSecretArn", "Database.MasterUserSecret.SecretArn")
        assert settings.mode is Mode.DIRECT
        assert settings.host == _servers_host(wanted)


def test_a_function_is_in_the_network_that_was_asked_for(name: str, deployed: Stack) -> None:
    """The given subnets, or the stack's own two."""
    own = set(deployed.get("AWS::EC2::Subnet", {}).values())
    given = set(COMBINATIONS[name].get("SubnetIds", "").split(","))
    for function in deployed["AWS::Lambda::Function"].values():
        network = boto3.client("lambda").get_function_configuration(FunctionName=function)["VpcConfig"]
        assert set(network["SubnetIds"]) == (own or given)
        assert len(network["SecurityGroupIds"]) == 1


def test_every_policy_is_one_that_iam_takes(name: str, deployed: Stack) -> None:
    """Moto checks the documents as IAM does; who has no key gets no right to one."""
    policies = set(deployed["AWS::IAM::ManagedPolicy"])
    wanted = COMBINATIONS[name]
    keyed = {"MonitorKeyAccess"} if "DatabaseKeyArn" in wanted else set()
    keyed |= {"ProvisionKeyAccess"} if keyed and "ProvisionFunction" in deployed["AWS::Lambda::Function"] else set()
    keyed |= {"KeyAccess"} if keyed and "IamUser" not in wanted else set()
    proxied = {"ProxyKeyAccess"} if keyed and wanted.get("ConnectionMode") == "proxy" else set()
    login = "ApplicationIamLogin" if "IamUser" in wanted else "ApplicationLogin"
    assert policies == {login, "FunctionAccess"} | keyed | proxied


def test_the_functions_login_is_one_user_of_one_database_or_one_secret(name: str, deployed: Stack) -> None:
    """The given database and secret, or the stack's own, with names and conditions resolved."""
    wanted = COMBINATIONS[name]
    if "IamUser" in wanted:
        database = wanted.get("DatabaseResourceId", "Database.DBClusterResourceId")
        login, action = f":dbuser:{database}/{wanted['IamUser']}", "rds-db:connect"
    else:
        login, action = wanted.get("DatabaseSecretArn", ":ApplicationSecret"), "secretsmanager:GetSecretValue"
    policy = "ApplicationIamLogin" if "IamUser" in wanted else "ApplicationLogin"
    arn = deployed["AWS::IAM::ManagedPolicy"][policy]
    version = boto3.client("iam").get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]
    (statement,) = version["Document"]["Statement"]
    assert statement["Action"] == action
    assert statement["Resource"].endswith(login)


def test_the_dashboard_is_one_that_cloudwatch_takes(deployed: Stack) -> None:
    """Valid JSON, every widget within the 24 columns and none over another."""
    (dashboard,) = deployed["AWS::CloudWatch::Dashboard"].values()
    body = json.loads(boto3.client("cloudwatch").get_dashboard(DashboardName=dashboard)["DashboardBody"])
    cells = [
        (x, y)
        for widget in body["widgets"]
        for x in range(widget["x"], widget["x"] + widget["width"])
        for y in range(widget["y"], widget["y"] + widget["height"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24


def test_the_dashboard_shows_cluster_and_proxy_where_they_are_known(name: str, deployed: Stack) -> None:
    """CloudWatch refuses a dimension without a value; of a proxy it shows what is pinned to one client."""
    wanted = COMBINATIONS[name]
    (dashboard,) = deployed["AWS::CloudWatch::Dashboard"].values()
    body = boto3.client("cloudwatch").get_dashboard(DashboardName=dashboard)["DashboardBody"]
    shown = [series for widget in widgets(json.loads(body)) for series in widget.series]
    assert all(value for series in shown for value in series.dimensions.values())
    clusters = {series.dimensions.get("DBClusterIdentifier") for series in shown} - {None}
    assert bool(clusters) == ("DatabaseSecretArn" not in wanted or bool(wanted["DatabaseClusterId"]))
    pinned = [each for each in shown if each.metric == "DatabaseConnectionsCurrentlySessionPinned"]
    assert [each.dimensions for each in pinned] == [{"ProxyName": "slotwise"}] * (
        wanted.get("ConnectionMode") == "proxy"
    )


def test_nothing_is_reached_from_the_internet(name: str, deployed: Stack, translated: Stack) -> None:
    """No gateway, no public address, no group that lets in everybody, whatever the parameters."""
    kinds = {resource["Type"] for resource in translated["Resources"].values()}
    assert not kinds & {"AWS::EC2::InternetGateway", "AWS::EC2::NatGateway", "AWS::EC2::EIP"}
    ec2 = boto3.client("ec2")
    for group in deployed.get("AWS::EC2::SecurityGroup", {}).values():
        (described,) = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
        ranges = [each["CidrIp"] for rule in described["IpPermissions"] for each in rule["IpRanges"]]
        assert "0.0.0.0/0" not in ranges
    assert ("AWS::EC2::VPC" in deployed) == ("VpcId" not in COMBINATIONS[name])


def test_every_route_leads_to_a_function_by_its_alias_and_is_guarded(translated: Stack) -> None:
    """What the macro has made of the definition and the events: no route lost, none added, none open."""
    paths = translated["Resources"]["Api"]["Properties"]["Body"]["paths"]
    found = {
        f"{method.upper()} {path}": operation for path, each in paths.items() for method, operation in each.items()
    }
    assert set(found) == set(routes())
    for operation in found.values():
        assert operation["security"]["Fn::If"][0] == "WantsTokens"
        assert "Aliaslive}" in operation["x-amazon-apigateway-integration"]["uri"]["Fn::Sub"]


def test_every_version_is_replaced_where_its_description_changes(translated: Stack) -> None:
    """The macro hands it on: to a changed description of a version CloudFormation answers with a new version."""
    versions = [each for each in translated["Resources"].values() if each["Type"] == "AWS::Lambda::Version"]
    described = {each["Properties"]["FunctionName"]["Ref"]: each["Properties"]["Description"] for each in versions}
    assert described == {name: function["VersionDescription"] for name, function in functions().items()}


def test_a_bad_version_is_taken_back(translated: Stack) -> None:
    """Each function's alias moves by CodeDeploy, which the alarms stop, and which then brings back the old version."""
    groups = [each for each in translated["Resources"].values() if each["Type"] == "AWS::CodeDeploy::DeploymentGroup"]
    assert len(groups) == len(set(routes().values()))
    for group in groups:
        assert len(group["Properties"]["AlarmConfiguration"]["Alarms"]) == 3
        assert "DEPLOYMENT_STOP_ON_ALARM" in group["Properties"]["AutoRollbackConfiguration"]["Events"]


def test_the_combinations_give_each_choice_a_turn() -> None:
    """A value of a parameter that nobody tries is one that may not work."""
    for name, parameter in template()["Parameters"].items():
        if "AllowedValues" in parameter and name not in UNTRIED:
            tried = {COMBINATIONS[each].get(name, parameter["Default"]) for each in COMBINATIONS}
            assert tried == set(parameter["AllowedValues"]), name
    assert set(GIVEN_DATABASE) <= set(template()["Parameters"])
