"""The least that a handler asks of its database."""

from sqlalchemy import text

from db import Database


def ask(database: Database) -> int:
    """Ask without values."""
    with database.transaction() as connection:
        answer: int = connection.scalar(text("select 1"))
    return answer


def ask_with_a_value(database: Database) -> int:
    """Ask with one, as most statements have."""
    with database.transaction() as connection:
        answer: int = connection.scalar(text("select cast(:n as int)"), {"n": 1})
    return answer
