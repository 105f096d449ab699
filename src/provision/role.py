"""Which statements make the application's role what it should be: pure, from what is there and what is wanted.

As whoever creates roles on RDS may run them: not a superuser, so no attribute is named that only one may name.
https://www.postgresql.org/docs/current/sql-createrole.html
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from provision.errors import RoleRefusedError
from provision.facts import Facts, RoleFacts, ServerFacts
from provision.sql import identifier, literal

IAM = "rds_iam"
"""Who has it logs in by IAM, and no more by password.

https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.DBAccounts.html
"""
IDLE_SESSION_TIMEOUT_SINCE = 140000
TOO_MUCH = ("superuser", "createrole", "createdb", "replication", "bypassrls")


@dataclass(frozen=True, slots=True, kw_only=True)
class Application:
    """The application's role as it should be."""

    role: str
    schema: str
    limit: int
    settings: Mapping[str, str]
    """What its sessions in this database begin with."""
    by_iam: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One statement, and what it is for."""

    name: str
    sql: str = field(repr=False)


def require_suitable(facts: Facts, role: str) -> None:
    """Raise RoleRefusedError where `role` is, or has, what no application may."""
    if role == facts.server.user:
        raise RoleRefusedError(f"{role} provisions and owns the tables: give the application a role of its own")
    if facts.role and (powers := [power for power in TOO_MUCH if getattr(facts.role, power)]):
        raise RoleRefusedError(f"role {role} is {' and '.join(powers)}: alter it, or name another")
    if facts.schema and role != facts.server.user and facts.schema.owns:
        raise RoleRefusedError(
            f"role {role} owns {', '.join(sorted(facts.schema.owns))}: reassign that to another role"
        )


def login_steps(facts: Facts, wanted: Application, verifier: str | None) -> Iterator[Step]:
    """Yield what makes the role able to log in; `verifier` is its password's, None where that is right already."""
    name, role = identifier(wanted.role), facts.role
    password = f" password {literal(verifier)}" if verifier else ""
    if role is None:
        yield Step("create the role", f"create role {name} login connection limit {wanted.limit}{password}")
    else:
        yield from _corrections(role, wanted, password)
    yield from _iam_steps(facts, wanted)
    yield from _setting_steps(facts, wanted)


def _corrections(role: RoleFacts, wanted: Application, password: str) -> Iterator[Step]:
    name = identifier(wanted.role)
    if not role.login:
        yield Step("let the role log in", f"alter role {name} login")
    if role.limit != wanted.limit:
        yield Step("set the connection limit", f"alter role {name} connection limit {wanted.limit}")
    if password:
        yield Step("set the password", f"alter role {name}{password}")


def _iam_steps(facts: Facts, wanted: Application) -> Iterator[Step]:
    has = bool(facts.role) and IAM in (facts.role.member_of if facts.role else ())
    if wanted.by_iam and not facts.server.has_rds_iam:
        raise RoleRefusedError("the application logs in by IAM, and the server has no role rds_iam: enable IAM there")
    if wanted.by_iam and not has:
        yield Step("let the role log in by IAM", f"grant {IAM} to {identifier(wanted.role)}")
    if has and not wanted.by_iam:
        yield Step("let the role log in by password", f"revoke {IAM} from {identifier(wanted.role)}")


def _setting_steps(facts: Facts, wanted: Application) -> Iterator[Step]:
    where = f"alter role {identifier(wanted.role)} in database {identifier(facts.server.database)}"
    there = facts.role.settings if facts.role else {}
    for setting, value in wanted.settings.items():
        if there.get(setting) not in {value, value.strip('"')}:  # the server drops the quotes that a name does not need
            quoted = value if setting == "search_path" else literal(value)
            yield Step(f"set {setting}", f"{where} set {setting} = {quoted}")


def schema_steps(facts: Facts, wanted: Application) -> Iterator[Step]:
    """Yield what must be there before the migrations."""
    if facts.schema is None:
        yield Step("create the schema", f"create schema {identifier(wanted.schema)}")
    yield Step("work in the schema", f"set local search_path = {identifier(wanted.schema)}")


def grant_steps(facts: Facts, wanted: Application, tables: list[str], sequences: list[str]) -> Iterator[Step]:
    """Yield what lets the role work in the schema and change nothing of it; `tables` are the migrations' own."""
    role, schema = identifier(wanted.role), identifier(wanted.schema)
    yield Step("let the role connect", f"grant connect on database {identifier(facts.server.database)} to {role}")
    if facts.schema and facts.schema.create and facts.schema.owned:
        # before PostgreSQL 15 everybody might create in `public` (CVE-2018-1058)
        yield Step("keep others from creating in the schema", f"revoke create on schema {schema} from public, {role}")
    yield Step("let the role use the schema", f"grant usage on schema {schema} to {role}")
    yield from _object_steps(role, schema, tables, sequences)


def _object_steps(role: str, schema: str, tables: list[str], sequences: list[str]) -> Iterator[Step]:
    rows, numbers = "select, insert, update, delete", "usage, select"
    if tables:
        yield Step("let the role use the tables", f"grant {rows} on {_all(schema, tables)} to {role}")
    if sequences:
        yield Step("let it use the sequences", f"grant {numbers} on sequence {_all(schema, sequences)} to {role}")
    version = f"{schema}.alembic_version"
    yield Step("leave the revision to the migrations", f"revoke all on {version} from {role}")
    yield Step("let the role read the revision", f"grant select on {version} to {role}")
    default = f"alter default privileges in schema {schema} grant"
    yield Step("the same for tables to come", f"{default} {rows} on tables to {role}")
    yield Step("the same for sequences to come", f"{default} {numbers} on sequences to {role}")


def _all(schema: str, names: list[str]) -> str:
    return ", ".join(f"{schema}.{identifier(name)}" for name in names)


def session_settings(
    server: ServerFacts, *, schema: str, statement_s: float, in_transaction_s: float, idle_s: float
) -> dict[str, str]:
    """Return what the application's sessions begin with, where they do not say otherwise themselves."""
    settings = {
        "search_path": identifier(schema),
        "statement_timeout": f"{statement_s * 1000:.0f}",
        "idle_in_transaction_session_timeout": f"{in_transaction_s * 1000:.0f}",
    }
    if server.version >= IDLE_SESSION_TIMEOUT_SINCE:
        settings["idle_session_timeout"] = f"{idle_s * 1000:.0f}"
    return settings
