"""A function as all are made, with a connection kept and a metric that no invocation writes, when its end comes."""

import os
from typing import Any

from sqlalchemy import text

from db.settings import LAMBDA_MARKS

# In Lambda plaintext is refused where the environment asks for it; this is a developer's machine all the same.
marks = {name: os.environ.pop(name) for name in LAMBDA_MARKS if name in os.environ}
from db.environment import extension_api, lifecycle  # noqa: E402 - likewise

lifecycle.SHUTDOWN_TIMEOUT_S *= 10  # a busy machine takes as much from it as from a tenth
extension_api.TIMEOUT_S *= 30
from handlers.environment import database, entry_point, metrics  # noqa: E402 - it reads them when it is imported

os.environ.update(marks)


@entry_point
def backend(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Say which server process serves this environment."""
    with database.autocommit() as connection:
        pid = connection.execute(text("select pg_backend_pid()")).scalar_one()
    return {"pid": pid}


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:  # noqa: ANN401 - the runtime's
    """Leave something for the end."""
    answer = backend(event, context)
    metrics.add_metric("LeftBehind", "Count", 1)
    return answer
