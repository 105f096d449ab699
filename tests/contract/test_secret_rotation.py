"""The secret's rotation: by AWS's own function, only where asked for, with the days that the code counts on."""

from tests.contract.stack import resources, template, variables


def test_nothing_rotates_unless_asked() -> None:
    """A deployment changes no password by itself, neither now nor at its first update."""
    rotation = template()["Resources"]["Rotation"]
    assert rotation["Condition"] == "SecretRotates"
    assert template()["Parameters"]["SecretRotation"]["Default"] == "none"
    assert rotation["Properties"]["RotateImmediatelyOnUpdate"] is False


def test_the_applications_secret_is_rotated_by_awss_own_function() -> None:
    """Single user or alternating users is a parameter; the function is AWS's, in the functions' own subnets."""
    (rotation,) = resources("AWS::SecretsManager::RotationSchedule").values()
    hosted = rotation["HostedRotationLambda"]
    assert rotation["SecretId"] == {"Ref": "DatabaseSecretArn"}
    assert hosted["RotationType"] == {"Fn::If": ["UsersAlternate", "PostgreSQLMultiUser", "PostgreSQLSingleUser"]}
    assert hosted["VpcSubnetIds"] == {"Fn::Join": [",", {"Ref": "SubnetIds"}]}
    assert "AWS::SecretsManager-2024-09-16" in template()["Transform"]


def test_the_code_counts_on_the_days_of_the_schedule() -> None:
    """The secret is kept until its next rotation: both read the same parameter."""
    (rotation,) = resources("AWS::SecretsManager::RotationSchedule").values()
    days = {"Ref": "SecretRotationDays"}
    assert rotation["RotationRules"] == {"AutomaticallyAfterDays": days}
    assert template()["Globals"]["Function"]["Environment"]["Variables"]["DB_SECRET_ROTATION_DAYS"] == days
    assert variables()["DB_SECRET_ROTATION_DAYS"] == "", "unknown by default"


def test_no_function_of_the_stack_may_read_the_administrators_secret() -> None:
    """Only AWS's rotation function logs in as the administrator."""
    for policy in [*resources("AWS::IAM::ManagedPolicy").values(), *resources("AWS::IAM::Role").values()]:
        assert "DatabaseAdminSecretArn" not in str(policy)
