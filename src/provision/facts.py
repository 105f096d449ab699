"""What the server says about itself, its roles and one schema: asked in one statement, and so in one flight.

Any role may ask. Knows nothing of what is wanted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, text

from db.fleet.clients import HOLDS_SLOT
from db.fleet.sample import UNKNOWN

_STATEMENT = f"""
with asked as (
  select coalesce(cast(:role as text), session_user) as role, cast(:monitor as text) as monitor,
    cast(:other as text) as other, cast(:schema as text) as schema
), role as (
  select pg_roles.* from pg_roles, asked where rolname = asked.role
), namespace as (
  select pg_namespace.* from pg_namespace, asked where nspname = asked.schema
), backend as (
  select usesysid as role from pg_stat_activity where {HOLDS_SLOT}
), described as (
  select rolname, json_build_object(
    'name', rolname, 'login', rolcanlogin, 'superuser', rolsuper, 'createdb', rolcreatedb,
    'createrole', rolcreaterole, 'replication', rolreplication, 'bypassrls', rolbypassrls, 'limit', rolconnlimit,
    'used', (select count(*) from backend where backend.role = pg_roles.oid),
    'member_of', (select coalesce(json_agg(granted.rolname), '[]') from pg_auth_members
      join pg_roles as granted on granted.oid = roleid where member = pg_roles.oid),
    'settings', (select coalesce(json_agg(setting order by setdatabase), '[]') from (
      select unnest(setconfig) as setting, setdatabase from pg_db_role_setting
      where setrole = pg_roles.oid
        and setdatabase in (0, (select oid from pg_database where datname = current_database()))) as set)
  ) as facts from pg_roles, asked where rolname in (asked.role, asked.other, asked.monitor)
), tables as (
  select pg_class.oid, relname, relkind, relowner from pg_class join namespace on relnamespace = namespace.oid
  where relkind in ('r', 'p', 'S')
)
select json_build_object(
  'server', (select json_build_object(
    'version', current_setting('server_version_num')::int,
    'database', current_database(),
    'user', session_user,
    'is_superuser', (select rolsuper from pg_roles where rolname = session_user),
    'creates_roles', (select rolcreaterole or rolsuper from pg_roles where rolname = session_user),
    'pid', pg_backend_pid(),
    'now', extract(epoch from clock_timestamp()),
    'in_recovery', pg_is_in_recovery(),
    'read_only', current_setting('default_transaction_read_only') = 'on',
    'max_connections', current_setting('max_connections')::int,
    'usable', {UNKNOWN.server_slots},
    'used', (select count(*) from backend),
    'database_limit', {UNKNOWN.database_slots},
    'has_rds_iam', to_regrole('rds_iam') is not null,
    'predefined', (select json_object_agg(predefined.rolname, pg_has_role(predefined.oid, 'member with admin option')
        or (current_setting('server_version_num')::int < 160000 and mine.rolcreaterole))
      from pg_roles as predefined, pg_roles as mine
      where left(predefined.rolname, 3) = 'pg_' and mine.rolname = session_user),
    'statements', case
      when current_setting('pg_stat_statements.max', true) is not null then
        case when exists (select from pg_extension where extname = 'pg_stat_statements') then 'counted'
          else 'not installed' end
      when exists (select from pg_available_extensions where name = 'pg_stat_statements') then 'not loaded'
      else 'not available' end,
    'settings', (select json_object_agg(name, setting) from pg_settings where name in (
      'password_encryption', 'statement_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout',
      'client_connection_check_interval', 'tcp_keepalives_idle', 'reserved_connections')))),
  'role', (select facts from described where rolname = asked.role),
  'other', (select facts from described where rolname = asked.other),
  'monitor', (select facts from described where rolname = asked.monitor),
  'schema', (select json_build_object(
    'name', nspname, 'owned', pg_has_role(session_user, nspowner, 'usage'),
    'usage', has_schema_privilege(role.oid, namespace.oid, 'usage'),
    'create', has_schema_privilege(role.oid, namespace.oid, 'create'),
    'owns', (select coalesce(json_agg(relname), '[]') from tables where relowner = role.oid),
    'out_of_reach', (select coalesce(json_agg(relname order by relname), '[]') from tables
      where relname <> 'alembic_version' and not case relkind
        when 'S' then has_sequence_privilege(role.oid, oid, 'usage')
        else has_table_privilege(role.oid, oid, 'select') and has_table_privilege(role.oid, oid, 'insert')
          and has_table_privilege(role.oid, oid, 'update') and has_table_privilege(role.oid, oid, 'delete') end)
  ) from namespace left join role on true)
) from asked
"""  # noqa: S608 - the parts are this package's own; what is asked about is bound


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerFacts:
    """The server, the database, and the session that asks."""

    version: int
    """As server_version_num: 150018."""
    database: str
    user: str
    is_superuser: bool
    creates_roles: bool
    pid: int
    now: float
    """The server's clock, in seconds since 1970."""
    in_recovery: bool
    read_only: bool
    max_connections: int
    usable: int
    """max_connections less what is reserved."""
    used: int
    database_limit: int | None
    has_rds_iam: bool
    predefined: Mapping[str, bool]
    """The server's predefined roles, and whether who asks may grant them."""
    settings: Mapping[str, str]
    statements: str = "not available"
    """Whether pg_stat_statements counts this database's: `counted`, `not installed`, `not loaded`, `not available`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleFacts:
    """A role, as far as the server lets anybody see."""

    name: str
    login: bool = True
    superuser: bool = False
    createdb: bool = False
    createrole: bool = False
    replication: bool = False
    bypassrls: bool = False
    limit: int = -1
    used: int = 0
    member_of: frozenset[str] = frozenset()
    settings: Mapping[str, str] = field(default_factory=dict)
    """What its sessions in this database begin with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaFacts:
    """A schema, and what the role may do in it."""

    name: str
    owned: bool = True
    """Whether who asks may change it as its owner."""
    usage: bool = False
    create: bool = False
    owns: frozenset[str] = frozenset()
    """Tables that belong to the role."""
    out_of_reach: tuple[str, ...] = ()
    """Tables and sequences that the role may not read and write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that was asked; no role, no schema where there is none of that name."""

    server: ServerFacts
    role: RoleFacts | None
    schema: SchemaFacts | None
    monitor: RoleFacts | None = None
    other: RoleFacts | None = None
    """With whom the role alternates."""


def ask(
    connection: Connection, *, role: str | None, schema: str, monitor: str | None = None, other: str | None = None
) -> Facts:
    """Ask about `role` (None: who is logged in), with whom it alternates, the monitor's and `schema`, in one flight."""
    asked = {"role": role, "monitor": monitor, "schema": schema, "other": other}
    found = connection.execute(text(_STATEMENT), asked).scalar_one()
    return read(found)


def read(found: Mapping[str, Any]) -> Facts:
    """Read what the statement returns."""
    schema = found["schema"]
    return Facts(
        server=ServerFacts(**found["server"]),
        role=_role(found["role"]),
        schema=schema and SchemaFacts(**_schema(schema)),
        monitor=_role(found["monitor"]),
        other=_role(found["other"]),
    )


def _role(role: Mapping[str, Any] | None) -> RoleFacts | None:
    if role is None:
        return None
    return RoleFacts(**{**role, "member_of": frozenset(role["member_of"]), "settings": _pairs(role)})


def _pairs(role: Mapping[str, Any]) -> dict[str, str]:
    """Read `name=value` texts; what is said of this database comes after what is said of all, and goes before it."""
    return {name: value for name, _, value in (setting.partition("=") for setting in role["settings"])}


def _schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    rights = {right: bool(schema[right]) for right in ("owned", "usage", "create")}  # NULL where there is no role
    return {**schema, **rights, "owns": frozenset(schema["owns"]), "out_of_reach": tuple(schema["out_of_reach"])}
