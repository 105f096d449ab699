"""What the server says about itself: asked in one statement, and so in one flight. Decides nothing.

Any role may ask; what others do is seen by members of pg_monitor only.
https://www.postgresql.org/docs/current/monitoring-stats.html
"""

from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict, TypeAdapter
from sqlalchemy import Connection, text

from db.fleet.sample import UNKNOWN
from db.statements.fingerprint import fingerprint
from monitor.watch import Watch

MOST_ROWS = 50
"""How many sessions, tables and statements are looked at, the worst first: an answer must not grow with the trouble."""

_SURVEY = """
with client as materialized (
  select *, extract(epoch from clock_timestamp() - xact_start)::float as transaction_s,
    extract(epoch from clock_timestamp() - query_start)::float as statement_s
  from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()
), held as (
  select pid, backend_start, xact_start, usename::text as role, datname::text as database,
    application_name as application, coalesce(state, 'hidden') as state, transaction_s
  from client where transaction_s > :longest_function_s and datname = current_database()
  order by xact_start limit {most_rows}
), big as (
  select schemaname || '.' || relname as name, n_live_tup as live, n_dead_tup as dead, seq_scan as full_scans
  from pg_stat_user_tables where n_live_tup + n_dead_tup >= :big_table_rows
  order by n_live_tup + n_dead_tup desc limit {most_rows}
)
select
  current_database() as database, session_user::text as role,
  (select count(*) from pg_stat_activity where datid is not null) as slots_used,
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
  (select coalesce(json_agg(held), '[]') from held) as held,
  (select coalesce(json_agg(big), '[]') from big) as big_tables,
  {statements} as statements,
  (select quote_ident(nspname) from pg_extension join pg_namespace on pg_namespace.oid = extnamespace
    where extname = 'pg_stat_statements' and has_schema_privilege(extnamespace, 'usage')
      and current_setting('pg_stat_statements.max', true) is not null
  ) as statements_in
"""

_STATEMENTS = """(select coalesce(json_agg(slow), '[]') from (
    select queryid::text as id, max(left(query, 10000)) as text, sum(calls)::bigint as calls,
      sum(total_exec_time) as total_ms
    from {schema}.pg_stat_statements
    where queryid is not null and max_exec_time >= :slow_statement_ms
      and dbid = (select oid from pg_database where datname = current_database())
    group by queryid order by sum(total_exec_time) desc limit {most_rows}) as slow)"""

_END = """
with dead as materialized (
  select pid from pg_stat_activity
  where (pid, backend_start, xact_start) in (
    select pid, backend_start, xact_start
    from json_to_recordset(cast(:sessions as json)) as s(pid int, backend_start timestamptz, xact_start timestamptz))
)
select pid, pg_terminate_backend(pid) from dead
"""
"""Whoever has ended its transaction since it was seen is left alone, and so is another session with the same number.

The sessions are found first and ended then: as one more condition, the server might try it on everybody.
"""


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
    """A session that has held a transaction for longer than any function runs."""

    pid: int
    backend_start: datetime
    xact_start: datetime
    role: str
    database: str
    application: str
    state: str
    transaction_s: float


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
    held: tuple[Session, ...]
    big_tables: tuple[Table, ...]
    statements: tuple[Statement, ...] | None
    """None where they were not asked for."""
    statements_in: str | None
    """The schema of pg_stat_statements, where it is installed, loaded and not out of this role's reach; quoted."""


def survey(connection: Connection, watch: Watch, statements_in: str | None) -> Survey:
    """Ask the server; for its statements too, where `statements_in` says in which schema they are counted."""
    statements = _STATEMENTS.format(schema=statements_in, most_rows=MOST_ROWS) if statements_in else "null"
    asked = text(_SURVEY.format(slots_usable=UNKNOWN.server_slots, statements=statements, most_rows=MOST_ROWS))
    wanted = {"longest_function_s": watch.longest_function_s, "big_table_rows": watch.big_table_rows}
    if statements_in:
        wanted["slow_statement_ms"] = watch.slow_statement_ms
    return Survey.model_validate(dict(connection.execute(asked, wanted).mappings().one()))


def end_sessions(connection: Connection, sessions: Sequence[Session]) -> list[int]:
    """End those that still are in the same transaction; return their process ids. 42501 where this role may not."""
    wanted = TypeAdapter(tuple[Session, ...]).dump_json(tuple(sessions)).decode()
    return [pid for pid, was_there in connection.execute(text(_END), {"sessions": wanted}) if was_there]
