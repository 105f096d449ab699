"""What the server says about itself, and the end of what was left behind: one statement, and so one flight.

Any role may ask; what others do is seen by members of pg_monitor only.
https://www.postgresql.org/docs/current/monitoring-stats.html
"""

import json
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter
from sqlalchemy import Connection, text

from db import shown_function
from db.fleet.clients import HOLDS_SLOT
from db.fleet.sample import UNKNOWN
from db.protocol.riders import Rider
from db.statements.fingerprint import fingerprint
from db.statements.riding import riding
from monitor.watch import Watch

MOST_ROWS = 50
"""How many sessions, tables and statements are looked at, the worst first: an answer must not grow with the trouble."""

_SURVEY = """
with client as materialized (
  select *, extract(epoch from clock_timestamp() - xact_start)::float as transaction_s,
    extract(epoch from clock_timestamp() - query_start)::float as statement_s
  from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()
), held as materialized (
  select pid, usesysid, usename::text as role, application_name as application, coalesce(state, 'hidden') as state,
    transaction_s, {is_ours} as ours
  from client where transaction_s > :longest_function_s and datname = current_database()
  order by ours desc, xact_start limit {most_rows}
), left_behind as materialized (
  select pid, role, application, state, transaction_s,
    case when {may_end} then pg_terminate_backend(pid) else false end as ended
  from held where ours
), big as (
  select schemaname || '.' || relname as name, n_live_tup as live, n_dead_tup as dead, seq_scan as full_scans
  from pg_stat_user_tables where n_live_tup + n_dead_tup >= :big_table_rows
  order by n_live_tup + n_dead_tup desc limit {most_rows}
)
select
  current_database() as database, session_user::text as role,
  (select count(*) from pg_stat_activity where {holds_slot}) as slots_used,
  {slots_usable} as slots_usable,
  (select coalesce(json_agg(counted), '[]') from (
    select coalesce(usename, '')::text as role, coalesce(state, 'hidden') as state,
      split_part(application_name, ':', 1) as application, count(*) as connections
    from client group by 1, 2, 3) as counted) as connections,
  (select coalesce(max(transaction_s), 0) from client) as oldest_transaction_s,
  (select coalesce(max(statement_s), 0) from client where state = 'active') as longest_statement_s,
  (select count(*) from client where wait_event_type = 'Lock') as blocked,
  (select max(age(datfrozenxid)) from pg_database) as transaction_id_age,
  (select coalesce(sum(n_dead_tup), 0)::bigint from pg_stat_user_tables) as dead_rows,
  (select coalesce(json_agg(left_behind), '[]') from left_behind) as left_behind,
  (select coalesce(json_agg(big), '[]') from big) as big_tables,
  (select quote_ident(nspname) from pg_extension join pg_namespace on pg_namespace.oid = extnamespace
    where extname = 'pg_stat_statements' and has_schema_privilege(extnamespace, 'usage')
      and current_setting('pg_stat_statements.max', true) is not null
  ) as statements_in
"""

_STATEMENTS = """
select coalesce(json_agg(slow), '[]') from (
  select queryid::text as id, max(left(query, 10000)) as text, sum(calls)::bigint as calls,
    sum(total_exec_time) as total_ms
  from {schema}.pg_stat_statements
  where queryid is not null and max_exec_time >= {slow_statement_ms}
    and dbid = (select oid from pg_database where datname = current_database())
  group by queryid order by sum(total_exec_time) desc limit {most_rows}) as slow
"""

_IS_OURS = """(
      split_part(application_name, ':', 1) in (select json_array_elements_text(cast(:functions as json)))
      and regexp_replace(usename, '_clone$', '')
        = regexp_replace(coalesce(cast(:role as text), session_user), '_clone$', ''))"""
"""A function's session. Who alternates users logs in as the role and as its clone, in turn.

https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotating-secrets-two-users.html
"""

_MAY_END = """pg_has_role(usesysid, 'usage')
      or (pg_has_role('pg_signal_backend', 'usage') and not (select rolsuper from pg_roles where oid = usesysid))"""
"""Asked first: the server answers an attempt without the right with an error, and the survey would be lost."""


class Seen(BaseModel):
    """A part of what was seen."""

    model_config = ConfigDict(frozen=True)


class Count(Seen):
    """Connections that are alike."""

    role: str
    state: str
    """pg_stat_activity's; `hidden` where this role may not see it."""
    application: str
    """What application_name says before the first colon: the function's name."""
    connections: int


class Session(Seen):
    """A session of ours that has held a transaction for longer than any function runs: a dead environment's.

    An invocation begins its transaction, and ends before its function's time-out. Where the transaction is older than
    that, Lambda has frozen or killed the environment, and nobody else is left to end it.
    """

    pid: int
    role: str
    application: str
    state: str
    transaction_s: float
    ended: bool
    """False where this role may not, or it has ended by itself."""


class Table(Seen):
    """A big table."""

    name: str
    live: int
    dead: int
    full_scans: int
    """Since the statistics began."""


class Statement(Seen):
    """A statement as pg_stat_statements counts it, its values left out."""

    id: str
    text: str
    calls: int
    total_ms: float

    @property
    def fingerprint(self) -> str:
        """The one under which the functions' logs have it."""
        return fingerprint(self.text)


class Survey(Seen):
    """All that was seen, at one moment."""

    database: str
    role: str
    slots_used: int
    slots_usable: int
    connections: tuple[Count, ...]
    oldest_transaction_s: float
    longest_statement_s: float
    blocked: int
    """Sessions that wait for a lock."""
    transaction_id_age: int
    dead_rows: int
    left_behind: tuple[Session, ...]
    big_tables: tuple[Table, ...]
    statements: tuple[Statement, ...] | None = None
    """None where they were not asked for, or cannot be had."""
    statements_in: str | None
    """The schema of pg_stat_statements, where it is installed, loaded and not out of this role's reach; quoted."""


def survey(connection: Connection, watch: Watch, statements_in: str | None) -> Survey:
    """Ask the server, and end the sessions of dead environments: ours by database, role and function.

    Its statements are asked for where `statements_in` says in which schema they are counted. They ride behind, since
    the extension may be gone by now.
    """
    if statements_in is None:
        return _survey(connection, watch)
    statements: list[Any] = []
    asked = _STATEMENTS.format(schema=statements_in, slow_statement_ms=watch.slow_statement_ms, most_rows=MOST_ROWS)
    with riding(connection, Rider(asked, lambda row: statements.extend(row or ()))):
        found = _survey(connection, watch)
    return found.model_copy(update={"statements": _of_rider(statements)})


def _survey(connection: Connection, watch: Watch) -> Survey:
    asked = text(
        _SURVEY.format(
            holds_slot=HOLDS_SLOT,
            slots_usable=UNKNOWN.server_slots,
            is_ours=_IS_OURS,
            may_end=_MAY_END,
            most_rows=MOST_ROWS,
        )
    )
    wanted = {
        "functions": json.dumps([shown_function(name) for name in watch.functions]),
        "role": watch.role,
        "longest_function_s": watch.longest_function_s,
        "big_table_rows": watch.big_table_rows,
    }
    return Survey.model_validate(dict(connection.execute(asked, wanted).mappings().one()))


def _of_rider(row: list[Any]) -> tuple[Statement, ...] | None:
    return TypeAdapter(tuple[Statement, ...]).validate_python(row[0]) if row else None
