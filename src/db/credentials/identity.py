"""Who logs in, and where. Asked at each connect, so that what has changed since is seen."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from db.deadline import Deadline
from db.masking import Secret

DEFAULT_PORT = 5432
DEFAULT_DATABASE = "postgres"


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """All that a connect needs to know about whom and where."""

    user: str
    password: Secret
    host: str
    port: int = DEFAULT_PORT
    database: str = DEFAULT_DATABASE
    version: str | None = None
    """Which version of a secret this is; None where there are no versions."""
    secret_id: str | None = None
    """Which secret that is."""

    def __str__(self) -> str:
        """Say who and where, as a message may."""
        version = f" (version {self.version} of secret {self.secret_id})" if self.version else ""
        return f"{self.user} at {self.host}:{self.port}{version}"


class Credentials(Protocol):
    """Says who logs in."""

    def logins(self, deadline: Deadline) -> Iterator[Login]:
        """Yield who may log in, best first; asked for the next one only after the server has refused the last.

        Raises SecretError where there is nobody, or nobody else, because that cannot be known before `deadline`.
        """

    def accepted(self, login: Login) -> None:  # noqa: ARG002 - for those that have versions
        """Take note that the server has let `login` in."""
        return

    def failed(self, login: Login) -> None:  # noqa: ARG002 - for those that may lead elsewhere by now
        """Take note that where `login` leads nobody answers, or has no such database."""
        return

    def forget(self) -> None:
        """Forget every password: before a snapshot of this process is taken."""
        return

    def has_expired(self, version: str | None) -> bool:  # noqa: ARG002 - for those that have versions
        """Say, without asking anybody, whether a connection that logged in with `version` should end when returned."""
        return False
