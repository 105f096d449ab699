"""An engine by URL, as tools make one: `postgresql+slotwise://`, on a real server."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine, make_url, text

import db.dialect  # noqa: F401 - registers the dialect
from local.postgres import PostgresServer


@pytest.fixture
def engine(server_itself: PostgresServer) -> Iterator[Engine]:
    """An engine as the superuser."""
    made = create_engine(make_url(server_itself.url()).set(drivername="postgresql+slotwise"))
    yield made
    made.dispose()


@pytest.fixture
def role_with_defaults(engine: Engine) -> Iterator[None]:
    """Defaults of the role that are not PostgreSQL's own."""
    with engine.begin() as connection:
        connection.execute(text("alter role postgres set default_transaction_isolation = 'repeatable read'"))
    engine.dispose()
    yield
    with engine.begin() as connection:
        connection.execute(text("alter role postgres reset default_transaction_isolation"))


@pytest.mark.usefixtures("role_with_defaults")
def test_the_default_isolation_level_is_the_roles(engine: Engine) -> None:
    """As the stock dialect says it."""
    asked = create_engine(engine.url)
    with asked.connect() as connection:
        assert connection.default_isolation_level == "REPEATABLE READ"
        assert connection.get_isolation_level() == "REPEATABLE READ"
    asked.dispose()
