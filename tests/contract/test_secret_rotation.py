"""The secret rotates by AWS's own function, one user or two in turn, by the days that the code counts on."""

from tests.contract.stack import resources, template

ALTERNATING = "UsersAlternate"
ADMINISTRATOR = {"Fn::GetAtt": ["Database", "MasterUserSecret.SecretArn"]}


def test_one_user_or_two_in_turn_is_a_parameter() -> None:
    """AWS's function for alternating users also gets the administrator's login, and the secret says whose that is."""
    (rotation,) = resources("AWS::SecretsManager::RotationSchedule").values()
    hosted = rotation["HostedRotationLambda"]
    assert hosted["RotationType"] == {"Fn::If": [ALTERNATING, "PostgreSQLMultiUser", "PostgreSQLSingleUser"]}
    assert hosted["MasterSecretArn"] == {"Fn::If": [ALTERNATING, ADMINISTRATOR, {"Ref": "AWS::NoValue"}]}
    (secret,) = resources("AWS::SecretsManager::Secret").values()
    alternating = secret["GenerateSecretString"]["SecretStringTemplate"]["Fn::If"][1]["Fn::Sub"]
    assert '"masterarn":"${Database.MasterUserSecret.SecretArn}"' in alternating
    assert template()["Conditions"][ALTERNATING] == {"Fn::Equals": [{"Ref": "RotationUsers"}, "alternating"]}


def test_no_deployment_changes_a_password_by_itself() -> None:
    """The first rotation comes with its day, not with an update of the stack."""
    (rotation,) = resources("AWS::SecretsManager::RotationSchedule").values()
    assert rotation["RotateImmediatelyOnUpdate"] is False


def test_the_code_counts_on_the_days_of_the_schedule() -> None:
    """The secret is kept until its next rotation: both read the same parameter."""
    (rotation,) = resources("AWS::SecretsManager::RotationSchedule").values()
    assert rotation["RotationRules"] == {"AutomaticallyAfterDays": {"Ref": "RotationDays"}}
    given = template()["Globals"]["Function"]["Environment"]["Variables"]["DB_SECRET_ROTATION_DAYS"]
    assert given["Fn::If"][1:] == [{"Ref": "RotationDays"}, ""]
