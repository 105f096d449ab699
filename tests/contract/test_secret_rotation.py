"""The secrets rotate by AWS's own functions, one user or two in turn, by the days that the code counts on."""

from tests.contract.stack import resources, template

ALTERNATING = "UsersAlternate"
ADMINISTRATOR = {"Fn::GetAtt": ["Database", "MasterUserSecret.SecretArn"]}

ROTATIONS = resources("AWS::SecretsManager::RotationSchedule")
SECRETS = resources("AWS::SecretsManager::Secret")


def test_every_secret_rotates() -> None:
    """By a function of its own, within the network, after the role is there."""
    rotated = {rotation["SecretId"]["Ref"].removesuffix("Attachment") for rotation in ROTATIONS.values()}
    assert rotated == set(SECRETS)
    names = {rotation["HostedRotationLambda"]["RotationLambdaName"]["Fn::Sub"] for rotation in ROTATIONS.values()}
    assert len(names) == len(ROTATIONS)
    for name in ROTATIONS:
        assert template()["Resources"][name]["DependsOn"] == "Schema"


def test_one_user_or_two_in_turn_is_a_parameter() -> None:
    """AWS's function for alternating users also gets the administrator's login, and the secret says whose that is."""
    hosted = ROTATIONS["ApplicationSecretRotation"]["HostedRotationLambda"]
    assert hosted["RotationType"] == {"Fn::If": [ALTERNATING, "PostgreSQLMultiUser", "PostgreSQLSingleUser"]}
    assert hosted["MasterSecretArn"] == {"Fn::If": [ALTERNATING, ADMINISTRATOR, {"Ref": "AWS::NoValue"}]}
    secret = SECRETS["ApplicationSecret"]
    alternating = secret["GenerateSecretString"]["SecretStringTemplate"]["Fn::If"][1]["Fn::Sub"]
    assert '"masterarn":"${Database.MasterUserSecret.SecretArn}"' in alternating
    assert template()["Conditions"][ALTERNATING] == {"Fn::Equals": [{"Ref": "RotationUsers"}, "alternating"]}


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
