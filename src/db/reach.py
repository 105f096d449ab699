"""Reaches a server that can do the work: waits for one that is starting up, turns away from one that takes no writes.

Each attempt asks the name anew, so that a failover's new writer is found. Knows nothing of logins.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial

from db.abandoned import Abandoned
from db.deadline import Deadline
from db.errors import ReadOnlyError, SlotwiseError
from db.lasting import LastingConnection
from db.retry import repeat, wait_for_server_s
from db.server_errors import ServerError
from db.settings import DatabaseSettings, Mode, TargetSession

Connect = Callable[[], LastingConnection]


def reach(connect: Connect, deadline: Deadline, settings: DatabaseSettings, abandoned: Abandoned) -> LastingConnection:
    """Return what `connect` opens; try again, with jitter, while that makes sense. End what was `abandoned` before."""
    soon = deadline.within(settings.connect_timeout_s)

    def wait_s(error: SlotwiseError, attempt: int) -> float | None:
        left_s, left_to_connect_s = deadline.remaining_s(), soon.remaining_s()
        return wait_for_server_s(error, attempt, left_s=left_s, left_to_connect_s=left_to_connect_s)

    wants_writes = settings.target_session_attrs is TargetSession.READ_WRITE
    connection = repeat(lambda: _fit_for_writes(connect()) if wants_writes else connect(), wait_s=wait_s)
    if settings.mode is Mode.DIRECT:  # a pooler's process ids are its own
        connection.abandons = partial(abandoned.note, abandoned.clock())
        _end(abandoned, connection, deadline)
    return connection


def _end(abandoned: Abandoned, connection: LastingConnection, deadline: Deadline) -> None:
    """End the sessions before anybody waits for their locks; one flight where there are any."""
    if statement := abandoned.take():
        connection.deadline = deadline
        with suppress(ServerError):  # whoever may not look or end does without
            connection.execute_simple(statement)


def _fit_for_writes(connection: LastingConnection) -> LastingConnection:
    """Return the connection; ReadOnlyError where its server has said at login that it is a standby (PostgreSQL 14)."""
    if connection.parameter_statuses.get("in_hot_standby") == "on":
        connection.close()
        raise ReadOnlyError("the server is a standby: if only reading is wanted, set DB_TARGET_SESSION_ATTRS=any")
    return connection
