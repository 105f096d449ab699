"""Makes SQLAlchemy's own suite run here: a pytest of its own, with SQLAlchemy's plugin, started by test_compliance."""

from functools import partial

import pytest

import db.dialect
from db.protocol.opening import Habits
from db.statements import watched

pytest.register_assert_rewrite("sqlalchemy.testing.assertions")

from sqlalchemy.dialects.postgresql import provision  # noqa: E402 - how the suite cleans a PostgreSQL
from sqlalchemy.testing.plugin.pytestplugin import *  # noqa: E402, F403 - the plugin is its names

# The suite uses neither citext nor hstore, and not every PostgreSQL comes with them.
provision._extensions.clear()

# The connections that a Database opens, which do more than those that are opened by URL.
open_lasting = partial(watched.connect, habits=Habits(), reserve_s=0.5, silence_s=30)
db.dialect.connect = open_lasting  # type: ignore[attr-defined]  # the name that the dialect uses
