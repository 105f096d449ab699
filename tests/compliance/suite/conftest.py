"""Makes SQLAlchemy's own suite run here: a pytest of its own, with SQLAlchemy's plugin, started by test_compliance."""

import pytest

import db.dialect  # noqa: F401 - registers postgresql+slotwise

pytest.register_assert_rewrite("sqlalchemy.testing.assertions")

import sqlalchemy.dialects.postgresql.provision  # noqa: E402, F401 - how the suite cleans a PostgreSQL
from sqlalchemy.testing.plugin.pytestplugin import *  # noqa: E402, F403 - the plugin is its names
