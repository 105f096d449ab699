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
LIBPQ = frozenset(
    (  # noqa: SIM905 - as a list they are fifty lines
        "application_name client_encoding connect_timeout dbname fallback_application_name gssdelegation gssencmode "
        "gsslib host hostaddr keepalives keepalives_count keepalives_idle keepalives_interval krbsrvname "
        "load_balance_hosts max_protocol_version min_protocol_version oauth_client_id oauth_client_secret oauth_issuer "
        "oauth_scope options passfile password port replication require_auth requirepeer scram_client_key "
        "scram_server_key service servicefile ssl_max_protocol_version ssl_min_protocol_version sslcert sslcertmode "
        "sslcompression sslcrl sslcrldir sslkey sslkeylogfile sslnegotiation sslpassword sslrootcert sslsni "
        "target_session_attrs tcp_user_timeout user"
    ).split()
)
"""Names of options that a message may have; another one may be a part of a password.

https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
"""
UNKNOWN = "one that nobody knows"


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
    if flaw := _misread(parts) or _missing(parts, user, database) or _unread(parts):
        return flaw
    host, port = parts.hostname or "", parts.port or DEFAULT_PORT
    return Login(user=user, password=Secret(password), host=host, port=port, database=database)


def _misread(parts: SplitResult) -> str | None:
    """Say why the parts may not be what was meant: a password that is not quoted ends where it was not to end."""
    if "@" in parts.path + parts.query + parts.fragment:
        return "DATABASE_URL has an @ behind its host: write @ / ? # in a password as %40 %2F %3F %23"
    if "\0" in unquote(parts.geturl()):
        return "DATABASE_URL has a NUL, perhaps as %00: no login can hold one"
    try:
        parts.port  # noqa: B018 - it is read when it is asked for
    except ValueError:
        return "DATABASE_URL has a port that is no number from 0 to 65535; write a : in a password as %3A"
    return None


def _missing(parts: SplitResult, user: str, database: str) -> str | None:
    """Say what a login needs and the URL does not have; None where it has all."""
    if parts.scheme.split("+")[0] not in {"postgres", "postgresql"}:
        return "DATABASE_URL must begin with postgres:// or postgresql://"
    if not (user and parts.hostname and database):
        return "DATABASE_URL must name user, host and database: postgres://user:password@host/name"
    return None


def _unread(parts: SplitResult) -> str | None:
    """Say what of the URL nobody reads, be it meant or a name that is not quoted; None where there is nothing."""
    options = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)} - PASSED_OVER
    if parts.fragment:
        return "DATABASE_URL has a #, behind which nothing is read: write it as %23"
    if options:
        names = [*sorted(options & LIBPQ), *([UNKNOWN] if options - LIBPQ else [])]
        return f"DATABASE_URL has options that are not read, {', '.join(names)}: a DB_* setting says that"
    return None


def _unquoted(part: str | None) -> str:
    return unquote(part or "", errors="strict")
