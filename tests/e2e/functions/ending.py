"""A function with a database that says goodbye; invoked by the tests of the end of an environment."""

import os
from typing import Any

from sqlalchemy import text

from db import Database, DatabaseSettings, Tls
from db.environment.lifecycle import Lifecycle
from db.environment.process import lambda_process

# In Lambda plaintext is refused where the environment asks for it; this is a developer's machine all the same.
settings = DatabaseSettings(
    url=os.environ["SERVER"], tls=Tls.INSECURE_LOCAL_ONLY, graceful_shutdown=os.environ.get("GRACEFUL") != "false"
)
database = Database(settings)
lifecycle = Lifecycle(database, lambda_process(), at_end=lambda: print("flushed"))  # noqa: T201 - what the test looks for
lifecycle.begin()
lifecycle.ready()


def handler(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Say which server process serves this environment."""
    with database.autocommit() as connection:
        pid = connection.execute(text("select pg_backend_pid()")).scalar_one()
    return {"pid": pid}
