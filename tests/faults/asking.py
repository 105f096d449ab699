"""The least that a handler asks of its database."""

from sqlalchemy import text

from db import Database


def ask(database: Database) -> int:
    """Ask without values."""
    with database.transaction() as connection:
        answer: int = connection.scalar(text("select 1"))
    return answer
