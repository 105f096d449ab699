"""The steps of AWS's hosted rotation, as it takes them, on a server and a Secrets Manager of the test's own.

Single user: the user's own password changes. Alternating users: a clone of the user gets a new one, and the secret's
user name changes to and fro.
https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html
"""

import json
import secrets
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from db import Database

if TYPE_CHECKING:
    from types_boto3_secretsmanager import SecretsManagerClient

CLONE = "_clone"


@dataclass
class Rotation:
    """One rotation of `secret_id`; `admin` is a database of the superuser's."""

    client: "SecretsManagerClient"
    secret_id: str
    admin: Database
    alternating: bool = False
    leaves_pending: bool = True
    """AWS's functions leave AWSPENDING where it is; others take it away in the end."""
    token: str = field(default_factory=lambda: str(uuid.uuid4()))
    """The new version's id."""

    def steps(self) -> Iterator[str]:
        """Take one step after the other; stop after each and say which it was."""
        for step in (self.create, self.set, self.test, self.finish):
            step()
            yield step.__name__

    def run(self) -> None:
        """Take all steps."""
        assert list(self.steps()) == ["create", "set", "test", "finish"]

    def create(self) -> None:
        """Make a new version, staged AWSPENDING."""
        content = self._version("AWSCURRENT")
        if self.alternating:
            content["username"] = alternate(content["username"])
        content["password"] = secrets.token_urlsafe()
        self.client.put_secret_value(
            SecretId=self.secret_id,
            ClientRequestToken=self.token,
            SecretString=json.dumps(content),
            VersionStages=["AWSPENDING"],
        )

    def set(self) -> None:
        """Give the database the new password; create the clone where there is none."""
        self._set("AWSPENDING")

    def set_current(self) -> None:
        """Give the database the password that is current: the replica has caught up."""
        self._set("AWSCURRENT")

    def _set(self, stage: str) -> None:
        pending = self._version(stage)
        set_password(self.admin, pending["username"], pending["password"])
        if self.alternating:
            grant_role(self.admin, self._version("AWSCURRENT")["username"], pending["username"])

    def test(self) -> None:
        """Log in with the new version."""
        assert can_log_in(self.admin, self._version("AWSPENDING"))

    def finish(self) -> None:
        """Move AWSCURRENT, and with it AWSPREVIOUS."""
        stages = self.client.describe_secret(SecretId=self.secret_id)["VersionIdsToStages"]
        current = next(version for version, names in stages.items() if "AWSCURRENT" in names)
        self.client.update_secret_version_stage(
            SecretId=self.secret_id,
            VersionStage="AWSCURRENT",
            MoveToVersionId=self.token,
            RemoveFromVersionId=current,
        )
        if not self.leaves_pending:
            self.client.update_secret_version_stage(
                SecretId=self.secret_id, VersionStage="AWSPENDING", RemoveFromVersionId=self.token
            )

    def _version(self, stage: str) -> dict[str, Any]:
        answer = self.client.get_secret_value(SecretId=self.secret_id, VersionStage=stage)
        content: dict[str, Any] = json.loads(answer["SecretString"])
        return content


def alternate(user: str) -> str:
    """Return the other of the two users."""
    return user.removesuffix(CLONE) if user.endswith(CLONE) else user + CLONE


def set_password(admin: Database, user: str, password: str) -> None:
    """Create `user` where there is none, and give it `password`."""
    with admin.transaction() as connection:
        known = connection.exec_driver_sql("select 1 from pg_roles where rolname = %s", (user,)).first()
        verb = "alter" if known else "create"
        connection.exec_driver_sql(f"{verb} role \"{user}\" login password '{password}'")


def grant_role(admin: Database, owner: str, user: str) -> None:
    """Let `user` do what `owner` may."""
    with admin.transaction() as connection:
        if user.endswith(CLONE):
            connection.exec_driver_sql(f'grant "{owner}" to "{user}"')


def can_log_in(admin: Database, content: dict[str, Any]) -> bool:
    """Say whether the server takes this login."""
    from db import DatabaseSettings

    url = f"postgres://{content['username']}:{content['password']}@{content['host']}:{content['port']}/postgres"
    database = Database(DatabaseSettings(url=url, tls=admin.settings.tls, tls_ca=admin.settings.tls_ca, pool_size=0))
    with database.autocommit() as connection:
        return connection.exec_driver_sql("select true").scalar_one() is True
