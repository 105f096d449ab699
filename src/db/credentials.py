"""Who logs in, and where. Asked at each connect, so that what has changed since is seen.

boto3 is imported where a secret is fetched, and only then.
"""

import json
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from db.errors import ConfigurationError, SecretError
from db.settings import DatabaseSettings

DEFAULT_PORT = 5432


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """All that a connect needs to know about whom and where."""

    user: str
    password: str = field(repr=False)
    host: str
    port: int = DEFAULT_PORT
    database: str


class Credentials(Protocol):
    """Says who logs in."""

    def login(self) -> Login:
        """Return the login to use now; raise SecretError where it cannot be had."""


@dataclass(frozen=True, slots=True)
class FixedCredentials:
    """A login that never changes."""

    fixed: Login

    def login(self) -> Login:
        """Return the login."""
        return self.fixed

    @classmethod
    def from_url(cls, url: str) -> "FixedCredentials":
        """Read a libpq URL, `postgres://` included; raise ConfigurationError, without the URL, if it lacks a part."""
        parts = urlsplit(url)
        if parts.scheme.split("+")[0] not in {"postgres", "postgresql"}:
            raise ConfigurationError("DATABASE_URL must begin with postgres:// or postgresql://")
        if not (parts.username and parts.hostname and parts.path.strip("/")):
            raise ConfigurationError(
                "DATABASE_URL must name user, host and database: postgres://user:password@host/name"
            )
        return cls(
            Login(
                user=unquote(parts.username),
                password=unquote(parts.password or ""),
                host=parts.hostname,
                port=parts.port or DEFAULT_PORT,
                database=unquote(parts.path.strip("/")),
            )
        )


@dataclass(slots=True)
class SecretCredentials:
    """A login from Secrets Manager, fetched at the first connect and kept for the process."""

    secret_id: str
    _fetched: Login | None = field(default=None, init=False, repr=False)

    def login(self) -> Login:
        """Return the login; fetch it where that has not been done."""
        if self._fetched is None:
            self._fetched = _parse(self.secret_id, self._fetch())
        return self._fetched

    def _fetch(self) -> str:
        import boto3  # noqa: PLC0415 - half of a cold start's imports; only where a secret is fetched
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - as above

        try:
            client = boto3.client("secretsmanager")
            text: str = client.get_secret_value(SecretId=self.secret_id, VersionStage="AWSCURRENT")["SecretString"]
        except (BotoCoreError, ClientError, KeyError) as error:
            raise SecretError(f"secret {self.secret_id} cannot be read: {_reason(error)}") from error
        return text


def _reason(error: Exception) -> str:
    response: dict[str, Any] = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code", type(error).__name__))


def _parse(secret_id: str, text: str) -> Login:
    """Read RDS's JSON; the secret's text is in no message and, being the cause of none, in no traceback."""
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise SecretError(f"secret {secret_id} is not a JSON object")
    for name in ("username", "password", "host"):
        if not content.get(name):
            raise SecretError(f"secret {secret_id} has no field {name!r}")
    return Login(
        user=content["username"],
        password=content["password"],
        host=content["host"],
        port=int(content.get("port", DEFAULT_PORT)),
        database=content.get("dbname", "postgres"),
    )


@dataclass(frozen=True, slots=True)
class OverriddenCredentials:
    """Another's login with host, port or database from settings."""

    inner: Credentials
    changes: dict[str, Any]

    def login(self) -> Login:
        """Return the login as changed."""
        return replace(self.inner.login(), **self.changes)


def credentials_from(settings: DatabaseSettings) -> Credentials:
    """Return what the settings ask for."""
    wanted = {"host": settings.host, "port": settings.port, "database": settings.name}
    changes = {name: value for name, value in wanted.items() if value is not None}
    if settings.url:
        return OverriddenCredentials(FixedCredentials.from_url(settings.url), changes)
    return OverriddenCredentials(SecretCredentials(settings.secret_id or ""), changes)
