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
from db.errors import ConfigurationError, SecretError
from db.masking import Secret
from db.patience import in_time

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
        self._session: Any = None
        """The SDK's, where it took one: it keeps the keys until they expire. Not to be used by two threads at once."""

    def logins(self, deadline: Deadline) -> Iterator[Login]:
        """Yield one login with a token of its own; SecretError where our keys cannot be had before `deadline`."""
        identity = self._identity() or self._asked_of_sdk(deadline)
        token = auth_token(identity, self._where["host"], self._where["port"], self._user, self._now())
        yield Login(user=self._user, password=token, **self._where)

    def forget(self) -> None:
        """Load the SDK and begin a session that knows nobody: it will tell the clones of a snapshot who they are."""
        self._session = new_session()

    def _asked_of_sdk(self, deadline: Deadline) -> AwsIdentity:
        """Ask the SDK, in a thread of its own: it tries for seconds, and knows no deadline."""
        session, self._session = self._session, None  # an answer that comes too late is still waited for with it
        found: AwsIdentity | str | None
        try:
            found, self._session = in_time(lambda: _found_by_sdk(session), deadline, "ask for AWS credentials")
        except TimeoutError as error:
            found = type(error).__name__
        if isinstance(found, AwsIdentity):
            return found
        if found is None:
            raise ConfigurationError("DB_IAM_USER needs AWS credentials and a region, and there are none")
        raise SecretError(f"the AWS credentials that DB_IAM_USER needs cannot be had: {found}")


def _found_by_sdk(session: Any) -> tuple[AwsIdentity | str | None, Any]:  # noqa: ANN401 - botocore has no types
    """Return who we are where the environment has no keys, as in a restored snapshot, and the session that knows it.

    In the place of who: None where nobody has keys for us, or the kind of failure. Raises nothing: botocore's errors
    say what they met, our token too.
    """
    try:
        session = session or new_session()
        found, region = session.get_credentials(), session.get_config_variable("region")
        keys = found.get_frozen_credentials() if found else None
    except Exception as error:  # noqa: BLE001 - as above
        return type(error).__name__, session
    if keys is None or region is None:
        return None, session
    identity = AwsIdentity(
        region=region,
        access_key_id=keys.access_key or "",
        secret_access_key=Secret(keys.secret_key or ""),
        session_token=Secret(keys.token or ""),
    )
    return identity, session


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
