"""The handler that the README shows."""

import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from local.postgres import PostgresServer
from tests.functions.conftest import Context, as_client, v2_event

README = (Path(__file__).parents[2] / "README.md").read_text()
(SOURCE,) = re.findall(r"^```python\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def test_the_readmes_handler_works(
    fresh: Callable[..., ModuleType], no_records: PostgresServer, pool_size: int
) -> None:
    """Whoever copies it gets rows."""
    variables = {"DATABASE_URL": no_records.url(), "DB_TLS": "insecure-local-only", "DB_POOL_SIZE": str(pool_size)}
    records = fresh("records", **variables)
    for name in ("kettle", "pot"):
        event = v2_event("POST", "/records", {"name": name, "payload": {}})
        assert as_client(records.handler(event, Context())).status == 201
    shown: dict[str, Any] = {}
    exec(compile(SOURCE, "README.md", "exec"), shown)  # noqa: S102 - our own
    assert shown["handler"]({"limit": 1}, Context()) == [{"id": 1, "name": "kettle"}]
