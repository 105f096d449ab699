"""Every setting of the database, its default and its limits; the only reader of the environment."""

import os
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from enum import StrEnum
from typing import Any, Self

from db.application import application_name
from db.errors import ConfigurationError
from db.masking import Secret
from db.variables import MAX_PORT, Reader, choice, number, switch, total

ENVIRONMENT: Mapping[str, str] = os.environ
"""The process's variables; whoever else needs one, db.environment.process above all, takes it from here."""


class Tls(StrEnum):
    """How the server's identity is checked."""

    VERIFY_FULL = "verify-full"
    INSECURE_LOCAL_ONLY = "insecure-local-only"


RDS_AUTHORITIES = "rds"
SYSTEM_AUTHORITIES = "system"

LAMBDA_MARKS = ("AWS_EXECUTION_ENV", "AWS_LAMBDA_INITIALIZATION_TYPE")
"""Lambda sets one or both, and lets nobody else set them; a function's own variables can neither add nor hide them.

https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
"""

BEGIN_A_SESSION = ("iam_user", "host", "name", "search_path", "application_name")
"""Settings that a connection begins with, as texts that a NUL would end: what is behind it would be another one."""


class Mode(StrEnum):
    """What a connection leads to."""

    DIRECT = "direct"
    POOLER = "pooler"


class TlsNegotiation(StrEnum):
    """How TLS begins."""

    POSTGRES = "postgres"
    DIRECT = "direct"


class Switch(StrEnum):
    """Whether something is done."""

    ON = "on"
    OFF = "off"


class TargetSession(StrEnum):
    """What the server must be able to do; the names are libpq's."""

    ANY = "any"
    READ_WRITE = "read-write"


class AtInit(StrEnum):
    """What an environment does ahead of its first invocation, while INIT has the whole processor."""

    NOTHING = "nothing"
    SECRET = "secret"  # noqa: S105 - what is fetched, not a secret
    CONNECTION = "connection"


def _setting(variable: str, default: object, read: Reader = str, *, secret: bool = False) -> Any:  # noqa: ANN401 - a field's default stands for any type
    """Declare a field that `read` makes of the environment's `variable`."""
    return field(default=default, repr=not secret, metadata={"variable": variable, "read": read})


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseSettings:
    """Where the database is, who logs in, and how long anything may take."""

    secret_id: str | None = _setting("DB_SECRET_ID", None)
    """Name or ARN of the secret that holds the login, in RDS's JSON form."""
    url: Secret | str | None = _setting("DATABASE_URL", None, Secret, secret=True)
    """The whole login as a URL, for a laptop or a host that gives one; not together with DB_SECRET_ID."""
    iam_user: str | None = _setting("DB_IAM_USER", None)
    """The database user of IAM authentication; needs DB_HOST. One of DB_SECRET_ID, DATABASE_URL, DB_IAM_USER is set."""
    secret_max_age_s: float = _setting("DB_SECRET_MAX_AGE_S", 3600.0, number(float, 1, 86400))
    """Seconds after which the secret is fetched again, less up to a fifth, where nothing says when it rotates."""
    secret_rotation_days: float | None = _setting("DB_SECRET_ROTATION_DAYS", None, number(float, 0.1, 1000))
    """Days between two rotations: the secret is then kept until the next one, counted from its version's date."""
    host: str | None = _setting("DB_HOST", None)
    """Overrides the secret's host."""
    port: int | None = _setting("DB_PORT", None, number(int, 1, MAX_PORT))
    """Overrides the secret's port."""
    name: str | None = _setting("DB_NAME", None)
    """Overrides the secret's database name."""
    pool_size: int = _setting("DB_POOL_SIZE", 1, number(int, 0, 10))
    """Connections that an environment keeps warm; 0 is NullPool."""
    tls: Tls = _setting("DB_TLS", Tls.VERIFY_FULL, choice(Tls))
    """`verify-full`, or `insecure-local-only`: plaintext, to a server on this machine only, never in Lambda."""
    tls_ca: str = _setting("DB_TLS_CA", RDS_AUTHORITIES)
    """Whom to trust: `rds` (RDS, Aurora, RDS Proxy; in the package), `system`, the path of a PEM file, or its text."""
    tls_negotiation: TlsNegotiation = _setting("DB_TLS_NEGOTIATION", TlsNegotiation.POSTGRES, choice(TlsNegotiation))
    """`direct` begins with TLS at once, one flight less, as PostgreSQL 17 and later let it; else `postgres`."""
    mode: Mode = _setting("DB_MODE", Mode.DIRECT, choice(Mode))
    """`direct`, or `pooler`: PgBouncer or RDS Proxy. Then nothing is asked of a session: limits travel with each
    transaction, what would pin is named in the log, and DB_SLOT_WAIT_S is for the pooler's queue."""
    idle_in_transaction_s: float = _setting("DB_IDLE_IN_TRANSACTION_S", 1.5, number(float, 0, 900))
    """Seconds that a transaction may wait for its handler, or for it to take rows, before the server ends it and frees
    its locks: what is left behind by an environment that was frozen or killed. 0 for no limit."""
    search_path: str | None = _setting("DB_SEARCH_PATH", None)
    """The session's search_path; the role's by default."""
    target_session_attrs: TargetSession = _setting(
        "DB_TARGET_SESSION_ATTRS", TargetSession.READ_WRITE, choice(TargetSession)
    )
    """`read-write` turns away from a standby, so that a failover finds the new writer; `any` suits reader endpoints."""
    connect_timeout_s: float = _setting("DB_CONNECT_TIMEOUT_S", 5.0, number(float, 0.1, 60))
    """Seconds for one connection attempt: name, TCP, TLS and login together."""
    reserve_s: float = _setting("DB_RESERVE_S", 0.5, number(float, 0, 60))
    """Seconds of the invocation that are kept back for rollback and answer."""
    default_timeout_s: float = _setting("DB_DEFAULT_TIMEOUT_S", 30.0, number(float, 0.1, 900))
    """Seconds that a borrow may take outside an invocation."""
    lease_s: float = _setting("DB_LEASE_S", 2.0, number(float, 0, 60))
    """Seconds that the server lets a warm connection idle where slots are scarce; 15 times as long where a fifth of
    them is free, 150 times where half of them are, or all fit. 0 for no limit."""
    slot_wait_s: float = _setting("DB_SLOT_WAIT_S", 1.0, number(float, 0, 60))
    """Seconds to wait at most for a slot on a server that has none left; an environment's first three times as long."""
    fleet_slots: int | None = _setting("DB_FLEET_SLOTS", None, number(int, 1, 100_000))
    """Slots that this role may count on where others use the same server; PostgreSQL's limits by default."""
    fleet_environments: int | None = _setting("DB_FLEET_ENVIRONMENTS", None, total(1, 1_000_000))
    """How many environments of this role there can be: the reserved concurrency of its functions, such as `20+5`. Where
    each has a slot, connections are kept; by default a crowd may come at any time, and a quarter of the slots idles."""
    silence_s: float = _setting("DB_SILENCE_S", 2.0, number(float, 0.1, 60))
    """Seconds that a server may give no sign of life when it is asked; a half-open connection is given up then. After
    that sign its host is watched by TCP keepalive, and given up after twice as long, 4 s at least."""
    max_attempts: int = _setting("DB_MAX_ATTEMPTS", 5, number(int, 1, 100))
    """How often run_transaction runs its work at most; while the server takes no writes, as often as time allows."""
    at_init: AtInit = _setting("DB_AT_INIT", AtInit.SECRET, choice(AtInit))
    """What is done ahead of the first invocation: `secret` fetches it, `connection` connects too, `nothing` waits."""
    graceful_shutdown: bool = _setting("DB_GRACEFUL_SHUTDOWN", default=True, read=switch)
    """`true` registers an internal extension, so that Lambda says when it ends the environment; `false` does not."""
    slow_statement_ms: float = _setting("DB_SLOW_STATEMENT_MS", 500.0, number(float, 0, 900_000))
    """Milliseconds from which on a statement is logged and counted as slow; 0 for none."""
    slow_statement_plans: Switch = _setting("DB_SLOW_STATEMENT_PLANS", Switch.OFF, choice(Switch))
    """`on`: at the end of the invocation, log a slow statement's plan too, once in each environment. Nothing is run."""
    sql_comments: Switch = _setting("DB_SQL_COMMENTS", Switch.ON, choice(Switch))
    """`on`: each statement carries the ids of request and trace, in sqlcommenter's form."""
    application_name: str = _setting("DB_APPLICATION_NAME", "slotwise")
    """What pg_stat_activity shows; in Lambda the function's name, its version and the environment's id by default.
    Behind a colon at its end come digits of each environment's own."""

    def __post_init__(self) -> None:
        """Refuse what does not fit together, or not here."""
        _require_verified_in_lambda(self.tls, ENVIRONMENT)
        if isinstance(self.url, str):
            object.__setattr__(self, "url", Secret(self.url))
        _require_no_nul(self)
        who = {"DB_SECRET_ID": self.secret_id, "DATABASE_URL": self.url, "DB_IAM_USER": self.iam_user}
        if len(given := [variable for variable, value in who.items() if value]) != 1:
            raise ConfigurationError(
                f"exactly one of {', '.join(who)} says who logs in; set: {', '.join(given) or 'none'}"
            )
        if self.mode is Mode.POOLER and self.search_path:
            raise ConfigurationError(
                "DB_SEARCH_PATH is a session's: with DB_MODE=pooler, alter role ... set search_path"
            )
        if self.iam_user and (self.host is None or self.tls is not Tls.VERIFY_FULL):
            raise ConfigurationError("DB_IAM_USER needs DB_HOST and DB_TLS=verify-full: a token is worth a password")

    @property
    def most_connections(self) -> int | None:
        """How many connections the fleet can keep at most; None where nothing says how many environments there are."""
        return None if self.fleet_environments is None else self.fleet_environments * self.pool_size

    def overrides(self) -> dict[str, Any]:
        """Return the parts of a login that are set here, whatever a secret or a URL says."""
        wanted = {"host": self.host, "port": self.port, "database": self.name}
        return {name: value for name, value in wanted.items() if value is not None}

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = ENVIRONMENT) -> Self:
        """Read the settings; raise ConfigurationError that names the variable and what it allows."""
        given = _given(cls, environ)
        defaults = {"application_name": _environment_name(environ)}
        _require_verified_in_lambda(given.get("tls") if isinstance(given, dict) else None, environ)
        del environ  # an error's frames must not hold it
        if isinstance(given, str):
            raise ConfigurationError(given)
        return cls(**{**defaults, **given})


def _require_verified_in_lambda(tls: object, environ: Mapping[str, str]) -> None:
    if tls is Tls.INSECURE_LOCAL_ONLY and any(mark in environ for mark in LAMBDA_MARKS):
        raise ConfigurationError(f"DB_TLS={tls} is for a developer's machine; in Lambda it must be verify-full")


def _require_no_nul(settings: DatabaseSettings) -> None:
    for declared in fields(settings):
        if declared.name in BEGIN_A_SESSION and "\0" in (getattr(settings, declared.name) or ""):
            raise ConfigurationError(f"{_variable(declared)} has a NUL, behind which something else would begin")


def _environment_name(environ: Mapping[str, str]) -> str:
    function = environ.get("AWS_LAMBDA_FUNCTION_NAME", "slotwise")
    version = environ.get("AWS_LAMBDA_FUNCTION_VERSION", "")
    return application_name(function, version, environ.get("AWS_LAMBDA_LOG_STREAM_NAME", ""))


def _variable(declared: Field[Any]) -> str:
    name: str = declared.metadata["variable"]
    return name


def _given(cls: type[DatabaseSettings], environ: Mapping[str, str]) -> dict[str, Any] | str:
    """Return the values that are set, or what is wrong with one; raises nothing, so that no frame with it is kept."""
    given = {}
    for declared in fields(cls):
        if text := environ.get(_variable(declared)):
            try:
                given[declared.name] = declared.metadata["read"](text)
            except ValueError as error:
                return f"{_variable(declared)} must be {error}"
    return given
