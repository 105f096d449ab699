"""The statement that counts the server's slots and grants this connection's lease, and how its row is read.

It rides in a flight that is sent anyway, and grants the lease from what it counts in the same breath: no flight is
needed to bring the decision back. It counts in the table of backends that any role may read; `pg_stat_activity`, which
formats them too, costs the server several times as much. What changes rarely (limits, oids) is asked once and then
written into the statement, which halves its cost again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from db.fleet.policy import LEASES, Limit, Sample, lease_s

_STATEMENT = """
select *, set_config('idle_session_timeout', (case {leases} end)::text, false) as lease
from (
  select *, greatest(
    server_used / nullif(server_slots, 0)::float, database_used / nullif(database_slots, 0)::float,
    role_used / nullif(role_slots, 0)::float) as share
  from (
    select
      count(*) filter (where pg_stat_get_backend_dbid(id) <> 0) as server_used, {server_slots} as server_slots,
      count(*) filter (where pg_stat_get_backend_dbid(id) = {database}) as database_used,
      {database_slots} as database_slots,
      count(*) filter (where pg_stat_get_backend_userid(id) = {role}) as role_used, {role_slots} as role_slots,
      pg_stat_get_db_sessions({database}) as sessions, {database}::bigint as database, {role}::bigint as role
    from pg_stat_get_backend_idset() as id
  ) as seen
) as shared
"""


@dataclass(frozen=True, slots=True)
class Terms:
    """What rarely changes, each as SQL: how to find it, or what was found."""

    database: str = "(select oid from pg_database where datname = current_database())"
    role: str = "(select usesysid from pg_user where usename = session_user)"
    server_slots: str = (
        "(select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
        " - coalesce(current_setting('reserved_connections', true), '0')::int"
        " - coalesce(current_setting('rds.rds_superuser_reserved_connections', true), '0')::int)"
    )
    database_slots: str = "(select nullif(datconnlimit, -1) from pg_database where datname = current_database())"
    role_slots: str = "(select nullif(rolconnlimit, -1) from pg_roles where rolname = session_user)"


UNKNOWN = Terms()


def statement(terms: Terms, shortest_lease_s: float, fleet_slots: int | None) -> str:
    """Return the statement; `fleet_slots` is the share of the server that the settings leave to this role."""
    own = "null" if fleet_slots is None else str(fleet_slots)
    return _STATEMENT.format(
        database=terms.database,
        role=terms.role,
        server_slots=terms.server_slots,
        database_slots=terms.database_slots,
        role_slots=f"least({terms.role_slots}, {own}::int)",
        leases=_leases(shortest_lease_s),
    )


def _leases(shortest_s: float) -> str:
    """Return fleet.lease_s as the branches of a CASE, in milliseconds."""
    steps = [f"when share <= {up_to} then {lease_s(up_to, shortest_s) * 1000:.0f}" for up_to, _ in LEASES]
    return " ".join([*steps, f"else {lease_s(1, shortest_s) * 1000:.0f}"])


@dataclass(frozen=True, slots=True)
class Counted:
    """What the statement's row says."""

    sample: Sample
    terms: Terms
    lease_s: float


def read(row: Sequence[object], seen_at: float, shortest_lease_s: float) -> Counted:
    """Read the statement's row, which came at `seen_at`."""
    numbers = [None if value is None else int(str(value)) for value in row[:9]]
    server_used, server_slots, database_used, database_slots, role_used, role_slots, sessions, database, role = numbers
    pairs = ((server_used, server_slots), (database_used, database_slots), (role_used, role_slots))
    limits = tuple(Limit(used or 0, slots) for used, slots in pairs if slots is not None)
    found = (database, role, server_slots, database_slots, role_slots)
    sample = Sample(seen_at, limits, sessions or 0)
    terms = Terms(*("null::int" if term is None else str(term) for term in found))
    return Counted(sample, terms, lease_s(sample.share, shortest_lease_s))
