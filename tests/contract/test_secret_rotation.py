"""The secrets rotate by AWS's own functions, one user or two in turn, by the days that the code counts on."""

import json
from typing import Any

from tests.contract.stack import resources, template

ADMINISTRATOR = {"Fn::GetAtt": ["Database", "MasterUserSecret.SecretArn"]}

ROTATIONS = resources("AWS::SecretsManager::RotationSchedule")
SECRETS = resources("AWS::SecretsManager::Secret")
OF_ONE_USER, OF_TWO_USERS = "ApplicationSecretRotation", "ApplicationSecretAlternation"


def condition(name: str) -> Any:  # noqa: ANN401 - YAML
    """Return a condition's own."""
    return template()["Conditions"][name]


def test_every_secret_rotates() -> None:
    """By a function of its own, within the network, after the role is there."""
    rotated = {rotation["SecretId"]["Ref"].removesuffix("Attachment") for rotation in ROTATIONS.values()}
    assert rotated == set(SECRETS)
    for name in ROTATIONS:
        assert template()["Resources"][name]["DependsOn"] == "Schema"


def test_one_user_or_two_in_turn_is_a_parameter() -> None:
    """Either rotation of the application's secret, where the stack makes one; the monitor's is of one user."""
    declared = template()["Resources"]
    assert declared[OF_ONE_USER]["Condition"] == "RotatesOneUser"
    assert declared[OF_TWO_USERS]["Condition"] == "RotatesTwoUsers"
    alternate, made = {"Condition": "UsersAlternate"}, {"Condition": "MakesApplicationSecret"}
    assert condition("RotatesOneUser") == {"Fn::And": [made, {"Fn::Not": [alternate]}]}
    assert condition("RotatesTwoUsers") == {"Fn::And": [made, alternate]}
    assert condition("UsersAlternate") == {"Fn::Equals": [{"Ref": "RotationUsers"}, "alternating"]}


def test_the_transform_is_told_literally_which_function_rotates() -> None:
    """It chooses among AWS's functions before CloudFormation resolves anything."""
    types = {name: rotation["HostedRotationLambda"]["RotationType"] for name, rotation in ROTATIONS.items()}
    assert types.pop(OF_TWO_USERS) == "PostgreSQLMultiUser"
    assert set(types.values()) == {"PostgreSQLSingleUser"}


def test_a_change_of_users_is_refused_by_the_functions_name() -> None:
    """Of two schedules for one secret the deletion of the first would end the rotation that the second has begun."""
    names = {name: rotation["HostedRotationLambda"]["RotationLambdaName"] for name, rotation in ROTATIONS.items()}
    assert names[OF_ONE_USER] == names[OF_TWO_USERS] != names["MonitorSecretRotation"]


def test_who_alternates_users_logs_in_as_the_administrator() -> None:
    """AWS's function gets that login and its key, and the secret says whose it is."""
    hosted = ROTATIONS[OF_TWO_USERS]["HostedRotationLambda"]
    assert hosted["MasterSecretArn"] == ADMINISTRATOR
    assert hosted["MasterSecretKmsKeyArn"] == hosted["KmsKeyArn"] != {"Ref": "AWS::NoValue"}
    text = SECRETS["ApplicationSecret"]["GenerateSecretString"]["SecretStringTemplate"]["Fn::Sub"]
    assert '"masterarn":"${Database.MasterUserSecret.SecretArn}"' in text


def test_both_users_are_provisioned_where_they_alternate() -> None:
    """AWS's function would make the clone without limit, search_path and time-outs."""
    plan = template()["Resources"]["Schema"]["Properties"]["Plan"]
    assert plan["AlternatingUsers"] == {"Fn::If": ["UsersAlternate", True, False]}


def test_who_alternates_users_reaches_rds() -> None:
    """The administrator's secret has neither host nor port: AWS's function asks RDS, by an endpoint."""
    endpoints = resources("AWS::EC2::VPCEndpoint")
    rds, other = endpoints["DatabaseServiceInterface"], endpoints["SecretsManagerInterface"]
    assert rds["ServiceName"] == {"Fn::Sub": "com.amazonaws.${AWS::Region}.rds"}
    same = ("VpcEndpointType", "VpcId", "SubnetIds", "SecurityGroupIds", "PrivateDnsEnabled")
    assert [rds[name] for name in same] == [other[name] for name in same]
    (statement,) = rds["PolicyDocument"]["Statement"]
    assert statement["Action"] == ["rds:DescribeDBClusters", "rds:DescribeDBInstances"]
    assert template()["Resources"]["DatabaseServiceInterface"]["Condition"] == "RotatesTwoUsersInNetwork"
    in_network = {"Fn::And": [{"Condition": "MakesNetwork"}, {"Condition": "UsersAlternate"}]}
    assert condition("RotatesTwoUsersInNetwork") == in_network


def test_who_rotates_reaches_secrets_manager_for_what_that_takes_and_nobody_for_more() -> None:
    """Nobody makes, deletes or lists secrets by the stack's endpoint, and no other account's login passes it."""
    (statement,) = resources("AWS::EC2::VPCEndpoint")["SecretsManagerInterface"]["PolicyDocument"]["Statement"]
    used = ("GetSecretValue", "DescribeSecret", "PutSecretValue", "UpdateSecretVersionStage", "GetRandomPassword")
    assert statement["Action"] == [f"secretsmanager:{action}" for action in used]
    assert statement["Condition"] == {"StringEquals": {"aws:PrincipalAccount": {"Ref": "AWS::AccountId"}}}


def test_no_parameter_changes_what_a_password_is_made_from() -> None:
    """CloudFormation makes another password where this changes, and tells no database."""
    for secret in SECRETS.values():
        assert "Fn::If" not in json.dumps(secret["GenerateSecretString"])
        assert "Ref" not in json.dumps(secret["GenerateSecretString"])


def test_no_deployment_changes_a_password_by_itself() -> None:
    """The first rotation comes with its day, not with an update of the stack."""
    for rotation in ROTATIONS.values():
        assert rotation["RotateImmediatelyOnUpdate"] is False


def test_the_code_counts_on_the_days_of_the_schedule() -> None:
    """The secret is kept until its next rotation: both read the same parameter."""
    for rotation in ROTATIONS.values():
        assert rotation["RotationRules"] == {"AutomaticallyAfterDays": {"Ref": "RotationDays"}}
    given = template()["Globals"]["Function"]["Environment"]["Variables"]["DB_SECRET_ROTATION_DAYS"]
    assert given["Fn::If"][1:] == [{"Ref": "RotationDays"}, ""]
