"""Which statements make a role what it should be: pure, from what is there and what is wanted.

As whoever creates roles on RDS may run them: not a superuser, so no attribute is named that only one may name.
https://www.postgresql.org/docs/current/sql-createrole.html
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from provision.errors import RoleRefusedError
from provision.facts import Facts, RoleFacts, SchemaFacts, ServerFacts
from provision.sql import identifier, literal

IAM = "rds_iam"
"""Who has it logs in by IAM, and no more by password.

https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.DBAccounts.html
"""
IDLE_SESSION_TIMEOUT_SINCE = 140000
CLONE = "_clone"
"""Behind the name of a user's other self, as AWS's function for alternating users makes it."""
TOO_MUCH = ("superuser", "createrole", "createdb", "replication", "bypassrls")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginRole:
    """A role that logs in, as it should be."""

    role: str
    limit: int
    settings: Mapping[str, str]
    """What its sessions in this database begin with."""
    by_iam: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Application(LoginRole):
    """The application's role."""

    schema: str


@dataclass(frozen=True, slots=True)
class Step:
    """One statement, and what it is for."""

    name: str
    sql: str = field(repr=False)


def require_suitable(server: ServerFacts, role: RoleFacts | None, name: str) -> None:
    """Raise RoleRefusedError where the role `name` is, or has, what only an administrator's may."""
    if name == server.user:
        raise RoleRefusedError(f"{name} provisions and owns the tables: give who uses them a role of its own")
    if role and (powers := [power for power in TOO_MUCH if getattr(role, power)]):
        raise RoleRefusedError(f"role {name} is {' and '.join(powers)}: alter it, or name another")


def require_no_owner(schema: SchemaFacts | None, name: str) -> None:
    """Raise RoleRefusedError where the role `name`, of which `schema` tells, owns tables."""
    if schema and schema.owns:
        raise RoleRefusedError(f"role {name} owns {', '.join(sorted(schema.owns))}: reassign that to another role")


def login_steps(server: ServerFacts, role: RoleFacts | None, wanted: LoginRole, verifier: str | None) -> Iterator[Step]:
    """Yield what makes the role able to log in; `verifier` is its password's, None where that is right already."""
    name = identifier(wanted.role)
    password = f" password {literal(verifier)}" if verifier else ""
    if role is None:
        yield Step("create the role", f"create role {name} login connection limit {wanted.limit}{password}")
    else:
        yield from _corrections(role, wanted, password)
    yield from _iam_steps(server, role, wanted)
    yield from _setting_steps(server, role, wanted)


def _corrections(role: RoleFacts, wanted: LoginRole, password: str) -> Iterator[Step]:
    name = identifier(wanted.role)
    if not role.login:
        yield Step("let the role log in", f"alter role {name} login")
    if role.limit != wanted.limit:
        yield Step("set the connection limit", f"alter role {name} connection limit {wanted.limit}")
    if password:
        yield Step("set the password", f"alter role {name}{password}")


def _iam_steps(server: ServerFacts, role: RoleFacts | None, wanted: LoginRole) -> Iterator[Step]:
    has = role is not None and IAM in role.member_of
    if wanted.by_iam and not server.has_rds_iam:
        raise RoleRefusedError(f"{wanted.role} logs in by IAM, and the server has no role rds_iam: enable IAM there")
    if wanted.by_iam and not has:
        yield Step("let the role log in by IAM", f"grant {IAM} to {identifier(wanted.role)}")
    if has and not wanted.by_iam:
        yield Step("let the role log in by password", f"revoke {IAM} from {identifier(wanted.role)}")


def _setting_steps(server: ServerFacts, role: RoleFacts | None, wanted: LoginRole) -> Iterator[Step]:
    where = f"alter role {identifier(wanted.role)} in database {identifier(server.database)}"
    there = role.settings if role else {}
    for setting, value in wanted.settings.items():
        if there.get(setting) not in {value, value.strip('"')}:  # the server drops the quotes that a name does not need
            quoted = value if setting == "search_path" else literal(value)
            yield Step(f"set {setting}", f"{where} set {setting} = {quoted}")


def alternate(user: str) -> str:
    """Return the name of the other of two users who alternate."""
    return user.removesuffix(CLONE) if user.endswith(CLONE) else user + CLONE


def alternate_steps(facts: Facts, wanted: LoginRole) -> Iterator[Step]:
    """Yield what makes the other of two users who alternate like the one of the secret, but for its password.

    AWS's function creates it without limit and settings where it is missing, and sets its password in any case.
    """
    other = replace(wanted, role=alternate(wanted.role))
    yield from login_steps(facts.server, facts.other, other, None)
    user, clone = sorted((wanted.role, other.role), key=len)
    its_facts = facts.role if wanted.role == clone else facts.other
    if its_facts is None or user not in its_facts.member_of:
        yield Step("let the clone do what the user may", f"grant {identifier(user)} to {identifier(clone)}")


def connect_step(server: ServerFacts, wanted: LoginRole) -> Step:
    """Return what lets the role into the database."""
    database = identifier(server.database)
    return Step("let the role connect", f"grant connect on database {database} to {identifier(wanted.role)}")


def schema_steps(facts: Facts, wanted: Application) -> Iterator[Step]:
    """Yield what must be there before the migrations."""
    if facts.schema is None:
        yield Step("create the schema", f"create schema {identifier(wanted.schema)}")
    yield Step("work in the schema", f"set local search_path = {identifier(wanted.schema)}")


def grant_steps(facts: Facts, wanted: Application, tables: list[str], sequences: list[str]) -> Iterator[Step]:
    """Yield what lets the role work in the schema and change nothing of it; `tables` are the migrations' own."""
    role, schema = identifier(wanted.role), identifier(wanted.schema)
    yield connect_step(facts.server, wanted)
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
    """Return what a role's sessions begin with, where they do not say otherwise themselves."""
    settings = {
        "search_path": identifier(schema),
        "statement_timeout": f"{statement_s * 1000:.0f}",
        "idle_in_transaction_session_timeout": f"{in_transaction_s * 1000:.0f}",
    }
    if server.version >= IDLE_SESSION_TIMEOUT_SINCE:
        settings["idle_session_timeout"] = f"{idle_s * 1000:.0f}"
    return settings
