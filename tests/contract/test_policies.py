"""What the functions may do, statement by statement: a right that nobody meant to give fails here."""

import re
from typing import Any

import pytest

from tests.contract.resolution import Resolution
from tests.contract.stack import resources, template
from tests.stacks.combinations import KEY

NETWORK = [
    "ec2:CreateNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DeleteNetworkInterface",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
]
SECRET = {"Fn::If": ["MakesDatabase", {"Ref": "ApplicationSecret"}, {"Ref": "DatabaseSecretArn"}]}
MONITORS_SECRET = {
    "Fn::If": [
        "MakesDatabase",
        {"Ref": "MonitorSecret"},
        {"Fn::If": ["MonitorSecretGiven", {"Ref": "MonitorSecretArn"}, {"Ref": "DatabaseSecretArn"}]},
    ]
}
LOGIN = {"Fn::If": ["LogsInByIam", {"Ref": "ApplicationIamLogin"}, {"Ref": "ApplicationLogin"}]}
CANNOT_BE_NARROWED = {"AttachToTheSubnets", "KeepThemFromTheCode", "SendTraces"}
"""Statements about "*", because AWS defines no resource for their actions."""


def _statements(policy: str) -> dict[str, dict[str, Any]]:
    document = resources("AWS::IAM::ManagedPolicy")[policy]["PolicyDocument"]
    return {statement["Sid"]: statement for statement in document["Statement"]}


def test_the_functions_read_one_secret_and_no_other() -> None:
    """The one that is given, or the stack's own, to the letter."""
    (read,) = _statements("ApplicationLogin").values()
    assert read["Action"] == "secretsmanager:GetSecretValue"
    assert read["Resource"] == SECRET


def test_by_iam_the_functions_log_in_as_one_user_of_one_database() -> None:
    """The stack's own, or the one that is given; no wildcard, and no parameter that could be one."""
    (connect,) = _statements("ApplicationIamLogin").values()
    assert connect["Action"] == "rds-db:connect"
    arn, names = connect["Resource"]["Fn::Sub"]
    assert arn == "arn:${AWS::Partition}:rds-db:${AWS::Region}:${AWS::AccountId}:dbuser:${ResourceId}/${IamUser}"
    own, given = {"Fn::GetAtt": ["Database", "DBClusterResourceId"]}, {"Ref": "DatabaseResourceId"}
    assert names == {"ResourceId": {"Fn::If": ["MakesDatabase", own, given]}}
    for name in ("IamUser", "DatabaseResourceId"):
        pattern = template()["Parameters"][name]["AllowedPattern"]
        assert not [text for text in ("*", "app_*", "cluster-*", "a/b", "App", "pg_app") if re.fullmatch(pattern, text)]


def test_by_iam_the_functions_read_no_secret() -> None:
    """Neither policy, the secret's nor its key's, is there; and one of the two logins is in any case."""
    conditions = {name: each.get("Condition") for name, each in template()["Resources"].items()}
    assert (conditions["ApplicationLogin"], conditions["ApplicationIamLogin"]) == ("LogsInBySecret", "LogsInByIam")
    by_iam = Resolution({"IamUser": "app_iam", **KEY})
    assert not by_iam.holds("LogsInBySecret")
    assert not by_iam.holds(conditions["KeyAccess"])
    assert Resolution(KEY).holds(conditions["KeyAccess"])


def test_the_monitor_reads_its_own_secret_and_no_other() -> None:
    """Only where it is given no login of its own is that the application's."""
    _, own = _roles("lambda.amazonaws.com")["MonitorRole"]["Policies"]
    (read,) = own["PolicyDocument"]["Statement"]
    assert (read["Action"], read["Resource"]) == ("secretsmanager:GetSecretValue", MONITORS_SECRET)
    assert resources("AWS::IAM::ManagedPolicy")["MonitorKeyAccess"]["Roles"] == [{"Ref": "MonitorRole"}]


@pytest.mark.parametrize(
    ("policy", "secret"), [("KeyAccess", SECRET), ("ProxyKeyAccess", SECRET), ("MonitorKeyAccess", MONITORS_SECRET)]
)
def test_the_secrets_key_opens_that_secret_only(policy: str, secret: object) -> None:
    """Through Secrets Manager, and for nothing else that the key encrypts."""
    (decrypt,) = _statements(policy).values()
    assert decrypt["Action"] == "kms:Decrypt"
    assert decrypt["Resource"] == {"Ref": "DatabaseKeyArn"}
    assert decrypt["Condition"]["StringEquals"]["kms:EncryptionContext:SecretARN"] == secret


def test_the_network_is_lambdas_and_not_the_codes() -> None:
    """What the service needs to attach a function, the function itself is denied."""
    statements = _statements("FunctionAccess")
    allowed, denied = statements["AttachToTheSubnets"], statements["KeepThemFromTheCode"]
    assert allowed["Action"] == denied["Action"] == NETWORK
    assert denied["Effect"] == "Deny"
    assert "lambda:SourceFunctionArn" in denied["Condition"]["ArnLike"]


def test_nothing_else_is_allowed() -> None:
    """No statement more, and "*" only where AWS leaves no choice."""
    keys = {"KeyAccess", "MonitorKeyAccess", "ProvisionKeyAccess", "ProxyKeyAccess"}
    assert set(resources("AWS::IAM::ManagedPolicy")) == {
        *("ApplicationLogin", "ApplicationIamLogin", "FunctionAccess"),
        *keys,
    }
    assert set(_statements("FunctionAccess")) == CANNOT_BE_NARROWED
    for policy in resources("AWS::IAM::ManagedPolicy"):
        for sid, statement in _statements(policy).items():
            assert (statement["Resource"] == "*") == (sid in CANNOT_BE_NARROWED)
            assert "*" not in str(statement["Action"])


def _roles(service: str) -> dict[str, dict[str, Any]]:
    """Return the roles that a service of AWS may take on."""
    return {
        name: role
        for name, role in resources("AWS::IAM::Role").items()
        for trust in role["AssumeRolePolicyDocument"]["Statement"]
        if trust["Principal"] == {"Service": service}
    }


def test_only_two_services_can_be_our_roles() -> None:
    """No account, no user, no other service."""
    assert _roles("lambda.amazonaws.com") | _roles("rds.amazonaws.com") == resources("AWS::IAM::Role")


def test_a_functions_role_adds_its_own_log_and_nothing_more() -> None:
    """Each function writes to its own log group; two have another policy, which has a test of its own."""
    more = {"ProvisionRole": ["provision"], "MonitorRole": ["own-login"]}
    for name, role in _roles("lambda.amazonaws.com").items():
        own, *others = role["Policies"]
        (statement,) = own["PolicyDocument"]["Statement"]
        assert statement["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]
        assert statement["Resource"] == {"Fn::GetAtt": [name.replace("Role", "LogGroup"), "Arn"]}
        login = [] if name == "MonitorRole" else [LOGIN]
        assert role["ManagedPolicyArns"] == [{"Ref": "FunctionAccess"}, *login]
        assert [policy["PolicyName"] for policy in others] == more.get(name, [])


def test_the_administrators_login_is_provisions_alone() -> None:
    """It reads that secret and those of the roles; of the application's, if any, it may ask when it rotates."""
    _, own = _roles("lambda.amazonaws.com")["ProvisionRole"]["Policies"]
    read, describe = own["PolicyDocument"]["Statement"]
    made = {"Fn::GetAtt": ["Database", "MasterUserSecret.SecretArn"]}
    administrator = {"Fn::If": ["HasAdministrator", {"Ref": "AdministratorSecretArn"}, made]}
    assert (read["Action"], read["Resource"]) == ("secretsmanager:GetSecretValue", [administrator, MONITORS_SECRET])
    describes = {"Effect": "Allow", "Action": "secretsmanager:DescribeSecret", "Resource": SECRET}
    assert describe == {"Fn::If": ["LogsInBySecret", describes, {"Ref": "AWS::NoValue"}]}
    (decrypt,) = _statements("ProvisionKeyAccess").values()
    assert (decrypt["Action"], decrypt["Resource"]) == ("kms:Decrypt", {"Ref": "DatabaseKeyArn"})
    assert decrypt["Condition"]["StringEquals"]["kms:EncryptionContext:SecretARN"] == [
        {"Fn::If": ["LogsInBySecret", SECRET, {"Ref": "AWS::NoValue"}]},
        MONITORS_SECRET,
        administrator,
    ]


def test_the_proxy_reads_the_functions_secret_and_no_other() -> None:
    """It lends that login and has no use for another."""
    (role,) = _roles("rds.amazonaws.com").values()
    (policy,) = role["Policies"]
    (read,) = policy["PolicyDocument"]["Statement"]
    assert (read["Action"], read["Resource"]) == ("secretsmanager:GetSecretValue", SECRET)
