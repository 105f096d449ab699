"""The schema, step by step, by Alembic; carried to Lambda with the function that provisions.

There is no alembic.ini: the configuration is made here, so that it is the same on a laptop, in a test and in Lambda.
"""

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, text

LOCK_KEY = 0x536C6F74
"""The advisory lock under which the schema changes: two that migrate at once do it one after the other."""


def upgrade(engine: Engine, revision: str = "head") -> None:
    """Bring the schema up to `revision`, all in one transaction; no change where it is there already."""
    _migrate(engine, lambda config: command.upgrade(config, revision))


def downgrade(engine: Engine, revision: str = "base") -> None:
    """Take the schema back to `revision`, all in one transaction; data in what is dropped is lost."""
    _migrate(engine, lambda config: command.downgrade(config, revision))


def _migrate(engine: Engine, change: Callable[[Config], None]) -> None:
    with engine.begin() as connection:
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": LOCK_KEY})
        change(configuration(connection))


def configuration(connection: Connection) -> Config:
    """Return Alembic's configuration for work on `connection`; env.py finds it among the attributes."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config
