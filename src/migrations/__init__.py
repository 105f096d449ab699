"""The schema, step by step, by Alembic; carried to Lambda with the function that provisions.

There is no alembic.ini: the configuration is made here, so that it is the same on a laptop, in a test and in Lambda.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionError
from sqlalchemy import Connection, Engine, text

FOLDER = Path(__file__).parent

LOCK_KEY = 0x536C6F74
"""The advisory lock under which the schema changes: two that migrate at once do it one after the other."""


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the schema up to `revision`, all in one transaction; no change where it is there already."""
    with engine.begin() as connection:
        lock(connection)
        upgrade_within(connection, revision)


def downgrade(engine: Engine, revision: str = "base") -> None:
    """Take the schema back to `revision`, all in one transaction; data in what is dropped is lost."""
    with engine.begin() as connection:
        lock(connection)
        command.downgrade(configuration(connection), revision)


def lock(connection: Connection) -> None:
    """Wait until nobody else changes the schema; nobody does until this transaction ends."""
    connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})


def upgrade_within(connection: Connection, revision: str = "head") -> None:
    """Do what `upgrade` does in a transaction of the caller's, who has the lock."""
    command.upgrade(configuration(connection), revision)


def revision_of(connection: Connection) -> str | None:
    """Return the revision that the schema has; None where it has none."""
    return MigrationContext.configure(connection).get_current_revision()


def pending(revision: str | None) -> list[str] | None:
    """Return the steps that a schema at `revision` lacks, first one first; None where this code does not know it.

    That is what code that was rolled back meets: the schema is newer than it.
    """
    steps = ScriptDirectory(str(FOLDER))
    try:
        found = [step.revision for step in steps.iterate_revisions("head", revision or "base")]
    except RevisionError:
        return None
    return found[::-1]


def configuration(connection: Connection) -> Config:
    """Return Alembic's configuration for work on `connection`; env.py finds it among the attributes."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(FOLDER))
    return config
