"""Makes SQLAlchemy's own suite run here: a pytest of its own, with SQLAlchemy's plugin, started by test_compliance."""

from dataclasses import replace
from functools import partial
from itertools import cycle

import pytest
from sqlalchemy import event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.pool import Pool

import db.dialect
from db.deadline import Deadline
from db.protocol.opening import ConnectOptions, Habits
from db.statements import watched
from db.statements.watched import WatchedConnection

pytest.register_assert_rewrite("sqlalchemy.testing.assertions")

from sqlalchemy.dialects.postgresql import provision  # noqa: E402 - how the suite cleans a PostgreSQL
from sqlalchemy.testing.plugin.pytestplugin import *  # noqa: E402, F403 - the plugin is its names

# The suite uses neither citext nor hstore, and not every PostgreSQL comes with them.
provision._extensions.clear()

LIMIT_MS, LEFT_S = 97_000, 100.0


def open_lent(options: ConnectOptions, *, deadline: Deadline) -> WatchedConnection:
    """Open a connection as a Database lends it: with a limit that the session keeps, riders, a deadline, a comment."""
    limited = replace(options, optional={"statement_timeout": str(LIMIT_MS)})
    connection = watched.connect(limited, deadline=deadline, habits=Habits(), reserve_s=0.5, silence_s=30)
    connection.time_limit.begin_with(LIMIT_MS)
    connection.lend(Deadline.after(LEFT_S), " /*route='suite'*/")
    connection.reopen = partial(open_lent, options, deadline=deadline)
    return connection


def lend_for_another_invocation(connection: DBAPIConnection, _record: object, _proxy: object) -> None:
    """Let each borrow have another deadline, as each invocation has, so that its limit is said anew."""
    if isinstance(connection, WatchedConnection):
        connection.deadline = Deadline.after(next(seconds_left))


seconds_left = cycle([LEFT_S, LEFT_S / 2])
db.dialect.connect = open_lent  # type: ignore[assignment, attr-defined]  # the name that the dialect uses
event.listen(Pool, "checkout", lend_for_another_invocation)
