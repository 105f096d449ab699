"""The statement that counts the server's slots and grants this connection's lease, and how its row is read.

It rides in a flight that is sent anyway, and grants the lease from what it counts in the same breath: no flight is
needed to bring the decision back. It counts in the table of backends that any role may read; `pg_stat_activity`, which
formats them too, costs the server several times as much. There an ordinary role cannot tell a parallel worker from a
connection: while a statement has some, they count, and slots are given back a little early. What changes rarely
(limits, oids) is asked once and then written into the statement, which halves its cost again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from db.fleet.census import NEW_FOR_S, USED_AGAIN_AFTER_S, USED_LATELY_S, WORK_COUNTS_S, Limit, Sample, seconds_between
from db.fleet.policy import LEASES, MOST_IDLE, MOST_IDLE_OF_ALL, WORK_DEVIATIONS

_LIMITS = ("server", "database", "role")
_COLUMNS = (
    "server_used",
    "server_slots",
    "database_used",
    "database_slots",
    "role_used",
    "role_slots",
    "sessions",
    "database",
    "role",
    "newcomers",
    "reused",
    "worked_ms",
    "lease_ms",
)
"""The numbers in the statement's row, in its order."""
_TERMS = ("database", "role", "server_slots", "database_slots", "role_slots")
"""Those of them that Terms takes."""

_STATEMENT = """
select {columns}, set_config('idle_session_timeout', lease_ms::text, false)
from (
 select *, case
   when free < at_work + {deviations} * sqrt(at_work) then {shortest}
   when {most} <= free + role_used then case when idle_share > {most_idle_of_all} then {shortest} else {longest} end
   when idle_share > {most_idle} then {shortest}
   {leases} else {shortest}
 end as lease_ms
 from (
  select *, least(server_slots - server_used, database_slots - database_used, role_slots - role_used) as free,
    {share} as share, {idle_share} as idle_share, greatest(0, {at_work}) as at_work
  from (
    select
      count(*) filter (where of_database <> 0) as server_used, {server_slots} as server_slots,
      count(*) filter (where of_database = {database}) as database_used, {database_slots} as database_slots,
      count(*) filter (where of_role = {role}) as role_used, {role_slots} as role_slots,
      pg_stat_get_db_sessions({database}) as sessions, {database}::bigint as database, {role}::bigint as role,
      count(*) filter (where is_other and began > now() - interval '{new_for} s') as newcomers,
      count(*) filter (where is_other and used > greatest(now() - interval '{lately} s', began + interval '{again} s'))
        as reused,
      pg_stat_get_db_active_time({database}) + pg_stat_get_db_idle_in_transaction_time({database}) as worked_ms
    from (
      select pg_stat_get_backend_dbid(id) as of_database, pg_stat_get_backend_userid(id) as of_role,
        pg_stat_get_backend_pid(id) <> pg_backend_pid() as is_other,
        pg_stat_get_backend_start(id) as began, pg_stat_get_backend_activity_start(id) as used
      from pg_stat_get_backend_idset() as id
    ) as sessions
  ) as counted
 ) as shared
) as granted
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


def statement(
    terms: Terms,
    shortest_lease_s: float,
    fleet_slots: int | None,
    most: int | None = None,
    before: Sample | None = None,
    now: float = 0.0,
) -> str:
    """Return the statement; `fleet_slots` is the share of the server that the settings leave to this role.

    `most` connections are all that the role can ask for. With the sample `before`, the statement can tell how many
    have been at work since then.
    """
    return _STATEMENT.format(
        columns=", ".join(_COLUMNS),
        database=terms.database,
        role=terms.role,
        server_slots=terms.server_slots,
        database_slots=terms.database_slots,
        role_slots=f"least({terms.role_slots}, {_sql(fleet_slots)}::int)",
        share=_share("{}_used"),
        idle_share=_share("({}_used - reused)"),
        at_work=_at_work(before, now),
        deviations=WORK_DEVIATIONS,
        most=f"{_sql(most)}::int",
        most_idle=MOST_IDLE,
        most_idle_of_all=MOST_IDLE_OF_ALL,
        leases=_leases(shortest_lease_s),
        shortest=_ms(shortest_lease_s),
        longest=_ms(shortest_lease_s * LEASES[0][1]),
        new_for=NEW_FOR_S,
        lately=USED_LATELY_S,
        again=USED_AGAIN_AFTER_S,
    )


def _share(used: str) -> str:
    """Return the largest share of a limit that is `used`; what has no limit is NULL, which greatest() passes over."""
    shares = (f"{used.format(of)} / nullif({of}_slots, 0)::float" for of in _LIMITS)
    return f"greatest({', '.join(shares)})"


def _at_work(before: Sample | None, now: float) -> str:
    """Return census.at_work as SQL; NULL, and any comparison with it, where it is not known."""
    apart_s = seconds_between(before, now, WORK_COUNTS_S)
    return f"(worked_ms / 1000 - {before.worked_s}) / {apart_s}" if before and apart_s else "null"


def _sql(number: int | None) -> str:
    return "null" if number is None else str(number)


def _leases(shortest_s: float) -> str:
    return " ".join(f"when share <= {up_to} then {_ms(shortest_s * times)}" for up_to, times in LEASES)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f}"


@dataclass(frozen=True, slots=True)
class Counted:
    """What the statement's row says."""

    sample: Sample
    terms: Terms
    lease_s: float
    """What it has granted."""


def read(row: Sequence[object], seen_at: float) -> Counted:
    """Read the statement's row, which came at `seen_at`."""
    numbers = dict(zip(_COLUMNS, map(_number, row), strict=False))
    pairs = ((numbers[f"{of}_used"], numbers[f"{of}_slots"]) for of in _LIMITS)
    sample = Sample(
        seen_at,
        tuple(Limit(int(used or 0), int(slots)) for used, slots in pairs if slots is not None),
        sessions=int(numbers["sessions"] or 0),
        newcomers=int(numbers["newcomers"] or 0),
        reused=int(numbers["reused"] or 0),
        worked_s=(numbers["worked_ms"] or 0.0) / 1000,
        of_role=int(numbers["role_used"] or 0),
    )
    found = (numbers[name] for name in _TERMS)
    terms = Terms(*("null::int" if term is None else f"{term:.0f}" for term in found))
    return Counted(sample, terms, (numbers["lease_ms"] or 0.0) / 1000)


def _number(value: object) -> float | None:
    return None if value is None else float(str(value))
