"""Reaches a server that can do the work: waits for one that is starting up, turns away from one that takes no writes.

Each attempt asks the name anew, so that a failover's new writer is found. Knows nothing of logins.
"""

from collections.abc import Callable
from functools import partial

from db.deadline import Deadline
from db.errors import CommitUnknownError, DeadlineExceededError, ReadOnlyError, SlotwiseError, UnreachableError
from db.protocol.server_errors import ServerError, TookTooLongError
from db.recovery.abandoned import Abandoned
from db.recovery.lasting import LastingConnection
from db.recovery.retry import repeat, wait_for_server_s
from db.settings import DatabaseSettings, Mode, TargetSession

Connect = Callable[[], LastingConnection]


def reach(connect: Connect, deadline: Deadline, settings: DatabaseSettings, abandoned: Abandoned) -> LastingConnection:
    """Return what `connect` opens; try again, with jitter, while that makes sense. End what was `abandoned` before.

    An attempt that only came too late hides nothing: what the one before it met is raised.
    """
    soon = deadline.within(settings.connect_timeout_s)

    def wait_s(error: SlotwiseError, attempt: int) -> float | None:
        left_s, left_to_connect_s = deadline.remaining_s(), soon.remaining_s()
        return wait_for_server_s(error, attempt, left_s=left_s, left_to_connect_s=left_to_connect_s)

    def attempt() -> LastingConnection:
        connection = connect()
        connection.deadline = deadline
        if settings.target_session_attrs is TargetSession.READ_WRITE:
            connection.wants_writes = True
            _require_writes(connection)
        if settings.mode is Mode.DIRECT:  # a pooler's process ids are its own
            connection.abandons = partial(abandoned.note, abandoned.clock())
            _end(abandoned, connection)
        return connection

    return repeat(_with_its_reason(attempt, deadline), wait_s=wait_s)


def _with_its_reason(attempt: Connect, deadline: Deadline) -> Connect:
    """Return what does `attempt`, and raises the last reason that there was where the time alone ended it."""
    reason: SlotwiseError | None = None

    def told() -> LastingConnection:
        nonlocal reason
        try:
            return attempt()
        except (UnreachableError, ReadOnlyError, DeadlineExceededError) as error:
            if reason and _came_too_late(error, deadline):
                raise reason from reason.__cause__
            reason = error
            raise

    return told


def _came_too_late(error: SlotwiseError, deadline: Deadline) -> bool:
    was_late = isinstance(error, DeadlineExceededError) or isinstance(error.__cause__, TookTooLongError)
    return was_late and not deadline.remaining_s()


def _end(abandoned: Abandoned, connection: LastingConnection) -> None:
    """End the sessions before anybody waits for their locks; one flight where there are any."""
    if (statement := abandoned.statement()) is None:
        return
    try:
        connection.execute_simple(statement)
    except ServerError:
        pass  # whoever may not look or end does without
    except CommitUnknownError as error:
        raise UnreachableError("the connection died as soon as it was there") from error
    abandoned.forget()


def _require_writes(connection: LastingConnection) -> None:
    """Raise ReadOnlyError where the server has said at login that it is a standby (PostgreSQL 14 and later)."""
    if connection.is_unwanted:
        connection.close()
        raise ReadOnlyError("the server is a standby: if only reading is wanted, set DB_TARGET_SESSION_ATTRS=any")
