"""A transaction's id, and which run of which server gave it.

An id alone says nothing after a crash: those whose WAL had not been flushed are given again, and a standby that takes
over gives again what it had not heard of. What is told of an id is true of its first bearer while the server's
statistics go on: they survive a restart, are thrown away after a crash, and no standby has its primary's.
Pure. https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_SERVER_START = "extract(epoch from pg_postmaster_start_time())"
_STATISTICS_SINCE = (
    "case when current_setting('server_version_num')::int >= 150000"
    " then extract(epoch from pg_stat_get_bgwriter_stat_reset_time()) end"
)
"""Up to PostgreSQL 14 it would have to be read from a file, for which a process of its own must be asked."""
RUN = f"{_SERVER_START}, {_STATISTICS_SINCE}"
"""The columns that tell a run. No statement that has them can fail for them."""

IF_ASSIGNED = f"select pg_current_xact_id_if_assigned(), {RUN}"
"""NULL in a transaction that has written nothing; asking does not assign one."""
ASSIGNED = f"select case when not pg_is_in_recovery() then pg_current_xact_id() end, {RUN}"
"""Assigns one, where a server can: what acts as late as in COMMIT has none before. A standby refuses to."""


@dataclass(frozen=True, slots=True)
class TransactionId:
    """The id, and the columns of RUN beside it."""

    number: int
    server_start: Any = None
    statistics_since: Any = None
    """None where the server does not say: then nothing is known of it once it cannot be the same session."""

    @classmethod
    def from_row(cls, row: Sequence[Any] | None) -> "TransactionId | None":
        """Return what an answer to IF_ASSIGNED or ASSIGNED says; None where no id has been given."""
        return cls(int(row[0]), row[1], row[2]) if row and row[0] is not None else None

    def is_kept_by(self, statistics_since: object) -> bool:
        """Say whether a server whose statistics go back to then has not crashed since it gave this id."""
        return self.statistics_since is not None and self.statistics_since == statistics_since

    def of_its_server(self) -> str:
        """Return the condition that holds on the server that gave it, while that runs."""
        since = "null" if self.statistics_since is None else self.statistics_since
        return f"{_SERVER_START} = {self.server_start} and {_STATISTICS_SINCE} is not distinct from {since}"
