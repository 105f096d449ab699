"""The login that a URL gives: for a laptop, or a host that knows no secrets."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from db.credentials.identity import DEFAULT_PORT, Credentials, Login
from db.deadline import Deadline
from db.errors import ConfigurationError
from db.masking import Secret

PASSED_OVER = frozenset({"sslmode", "channel_binding"})
"""Options that ask for nothing stricter than what is done in any case."""


@dataclass(frozen=True, slots=True)
class FixedCredentials(Credentials):
    """A login that never changes."""

    fixed: Login

    def logins(self, deadline: Deadline) -> Iterator[Login]:  # noqa: ARG002 - there is nothing to wait for
        """Yield the login."""
        yield self.fixed

    @classmethod
    def from_url(cls, url: str | Secret, overrides: Mapping[str, Any] = {}) -> Self:
        """Read a libpq URL, `postgres://` included; raise ConfigurationError, without the URL, if it lacks a part.

        `overrides` are host, port or database from elsewhere.
        """
        login = _read_url(Secret(url) if isinstance(url, str) else url)
        del url  # the error's frames must not hold it
        if isinstance(login, str):
            raise ConfigurationError(login)
        return cls(replace(login, **overrides))


def _read_url(url: Secret) -> Login | str:
    """Return the login, or what is wrong with the URL; raises nothing, so that no frame with it is kept."""
    try:
        url.reveal().encode()  # half of a surrogate pair stands for a byte of the environment that is no UTF-8
        parts = urlsplit(url.reveal())
        user, password, database = map(_unquoted, (parts.username, parts.password, parts.path.strip("/")))
    except UnicodeError:
        return "DATABASE_URL has bytes that are no UTF-8, perhaps as %XX: an é is %C3%A9, and not %E9"
    except ValueError:
        return "DATABASE_URL is no URL; write what is special in a password as %XX"
    try:
        port = parts.port or DEFAULT_PORT
    except ValueError:
        return "DATABASE_URL has a port that is no number from 0 to 65535; write a : in a password as %3A"
    if parts.scheme.split("+")[0] not in {"postgres", "postgresql"}:
        return "DATABASE_URL must begin with postgres:// or postgresql://"
    if not (user and parts.hostname and database):
        return "DATABASE_URL must name user, host and database: postgres://user:password@host/name"
    login = Login(user=user, password=Secret(password), host=parts.hostname, port=port, database=database)
    return _unread(parts) or login


def _unread(parts: SplitResult) -> str | None:
    """Say what of the URL nobody reads, be it meant or a name that is not quoted; None where there is nothing."""
    options = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)} - PASSED_OVER
    if parts.fragment:
        return "DATABASE_URL has a #, behind which nothing is read: write it as %23"
    if options:
        return f"DATABASE_URL has options that are not read, {', '.join(sorted(options))}: a DB_* setting says that"
    return None


def _unquoted(part: str | None) -> str:
    return unquote(part or "", errors="strict")
