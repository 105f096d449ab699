"""A login by IAM role: a token instead of a password, signed here at each connect, with no call to anybody.

The token is a presigned URL (Signature Version 4), good for 15 minutes; the connection may live longer.
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from db.credentials.identity import DEFAULT_PORT, Credentials, Login
from db.credentials.sdk import new_session
from db.credentials.signature import ALGORITHM, Signer, digest
from db.deadline import Deadline
from db.environment.process import AwsIdentity
from db.errors import ConfigurationError
from db.masking import Secret

SERVICE = "rds-db"
EXPIRES_S = 900


def _utc_now() -> datetime:
    return datetime.now(UTC)


class IamCredentials(Credentials):
    """The login of a database user that has the role `rds_iam`."""

    def __init__(
        self,
        user: str,
        overrides: Mapping[str, Any],
        identity: Callable[[], AwsIdentity | None],
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        """Take `host`, and perhaps `port` and `database`, from `overrides`; ask `identity` who we are at each login."""
        self._user = user
        self._where = {"port": DEFAULT_PORT, **overrides}
        self._identity = identity
        self._now = now

    def logins(self, deadline: Deadline) -> Iterator[Login]:  # noqa: ARG002 - nobody is asked, nothing waited for
        """Yield one login with a token of its own."""
        identity = self._identity() or _identity_of_session()
        token = auth_token(identity, self._where["host"], self._where["port"], self._user, self._now())
        yield Login(user=self._user, password=token, **self._where)

    def accepted(self, login: Login) -> None:
        """Forget it: the next token is another."""

    def forget(self) -> None:
        """Load the SDK, which tells the clones of a snapshot who they are."""
        new_session()


def _identity_of_session() -> AwsIdentity:
    """Return what the SDK finds where the environment has no keys: a restored snapshot, a developer's machine."""
    session = new_session()
    found, region = session.get_credentials(), session.get_config_variable("region")
    if found is None or region is None:
        raise ConfigurationError("DB_IAM_USER needs AWS credentials and a region, and there are none")
    keys = found.get_frozen_credentials()
    return AwsIdentity(
        region=region,
        access_key_id=keys.access_key or "",
        secret_access_key=Secret(keys.secret_key or ""),
        session_token=Secret(keys.token or ""),
    )


def auth_token(identity: AwsIdentity, host: str, port: int, user: str, now: datetime) -> Secret:
    """Return what `user` gives instead of a password at `host`:`port`; `now` is in UTC."""
    signer = Signer(identity, SERVICE, now)
    parameters = {
        "Action": "connect",
        "DBUser": user,
        "X-Amz-Algorithm": ALGORITHM,
        "X-Amz-Credential": signer.credential,
        "X-Amz-Date": signer.date,
        "X-Amz-Expires": str(EXPIRES_S),
        "X-Amz-SignedHeaders": "host",
        **({"X-Amz-Security-Token": identity.session_token.reveal()} if identity.session_token else {}),
    }
    request = f"GET\n/\n{_query(sorted(parameters.items()))}\nhost:{host}:{port}\n\nhost\n{digest(b'')}"
    return Secret(f"{host}:{port}/?{_query(parameters.items())}&X-Amz-Signature={signer.signature(request)}")


def _query(parameters: Iterable[tuple[str, str]]) -> str:
    """Write the parameters as the signature wants them encoded; it wants them sorted, too."""
    return "&".join(f"{name}={quote(value, safe='-_.~')}" for name, value in parameters)
