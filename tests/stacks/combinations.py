"""The parameters with which the tests deploy the stack: each choice at least once, from nothing to everything."""

from types import MappingProxyType

GIVEN_NETWORK = {"VpcId": "vpc-0a1b2c3d", "SubnetIds": "subnet-0a1b2c3d,subnet-1a1b2c3d"}
GIVEN_DATABASE = {
    **GIVEN_NETWORK,
    "SecurityGroupIds": "sg-0a1b2c3d",
    "DatabaseSecretArn": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:given-AbCdEf",
    "DatabaseClusterId": "given",
}
ADMINISTRATOR = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:administrator-GhIjKl"
MONITOR = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:monitor-MnOpQr"
IAM_TO_GIVEN = {
    **GIVEN_DATABASE,
    "IamUser": "app_iam",
    "DatabaseHost": "given.cluster-abcdefghijkl.eu-central-1.rds.amazonaws.com",
    "DatabaseName": "records",
    "DatabaseResourceId": "cluster-ABCDEFGHIJKL01234",
}
KEY = {"DatabaseKeyArn": "arn:aws:kms:eu-central-1:123456789012:key/0a1b2c3d-0000-4000-8000-000000000000"}

COMBINATIONS = MappingProxyType(
    {
        "nothing-given": {},
        "network-given": GIVEN_NETWORK,
        "everything-given": {
            **GIVEN_DATABASE,
            **KEY,
            "AdministratorSecretArn": ADMINISTRATOR,
            "MonitorSecretArn": MONITOR,
            "DatabaseName": "records",
            "AlarmTopicArn": "arn:aws:sns:eu-central-1:123456789012:alarms",
            "SecretsExtensionArn": "arn:aws:lambda:eu-central-1:123456789012:layer:AWS-Parameters-and-Secrets:1",
        },
        "pooler": {
            **GIVEN_DATABASE,
            "DatabaseClusterId": "",
            "ConnectionMode": "pooler",
            "DatabaseHost": "pooler.example.com",
            "DatabasePort": "6432",
        },
        "proxy": {"ConnectionMode": "proxy", **KEY},
        "proxy-before-given": {**GIVEN_DATABASE, "ConnectionMode": "proxy"},
        "iam": {"IamUser": "app_iam", **KEY},
        "iam-to-given": {
            **IAM_TO_GIVEN,
            **KEY,
            "DatabasePort": "5433",
            "AdministratorSecretArn": ADMINISTRATOR,
            "MonitorSecretArn": MONITOR,
            "SnapStart": "PublishedVersions",
        },
        "iam-to-given-as-it-is": IAM_TO_GIVEN,
        "sleeping-on-arm": {"MinCapacity": "0", "Architecture": "arm64", "FleetSlots": "40", "PoolSize": "0"},
        "tokens-from-pages": {
            "Authorization": "jwt",
            "JwtIssuer": "https://issuer.example.com",
            "JwtAudience": "records,web",
            "CorsOrigins": "https://app.example.com,http://localhost:5173",
        },
        "production": {
            "Standby": "true",
            "Deployment": "Canary10Percent5Minutes",
            "RotationUsers": "alternating",
            "SnapStart": "PublishedVersions",
            "SlowStatementPlans": "on",
        },
    }
)
"""Parameters that differ from their defaults, by the combination's name."""
