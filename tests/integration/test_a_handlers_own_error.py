"""What a handler raises itself in a borrow keeps all that it has to say."""

import traceback
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from db import Database


def fails(_: Any) -> int:  # noqa: ANN401 - sorted's key
    raise KeyError(fails.__name__)


def plainly(database: Database) -> None:
    with database.transaction():
        sorted([1, 2], key=fails)


def in_a_savepoint(database: Database) -> None:
    with database.transaction() as connection, connection.begin_nested():
        connection.execute(text("select 1"))
        fails(0)


def in_a_session(database: Database) -> None:
    with database.session() as session, session.no_autoflush, session.begin_nested():
        fails(0)


def between_rows(database: Database) -> None:
    with database.transaction() as connection:
        for row in connection.execute(text("select 1")):
            fails(row)


def after_a_failure(database: Database) -> None:
    with database.transaction() as connection:
        try:
            connection.execute(text("select 1/0"))
        except SQLAlchemyError as error:
            raise KeyError(after_a_failure.__name__) from error


def in_repeated_work(database: Database) -> None:
    other = Database(database.settings)
    with database.transaction():
        try:
            other.run_transaction(fails)
        finally:
            other.close()


@pytest.mark.parametrize(
    "handler", [plainly, in_a_savepoint, in_a_session, between_rows, after_a_failure, in_repeated_work]
)
def test_every_frame_is_kept(database: Database, handler: Callable[[Database], None]) -> None:
    """It has passed through SQLAlchemy's context managers, and through another borrow's."""
    with pytest.raises(KeyError) as raised:
        handler(database)
    frames = [frame.name for frame in traceback.extract_tb(raised.tb)]
    assert handler.__name__ in frames
    assert frames[-1] == raised.value.args[0]
