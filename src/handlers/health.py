"""The Lambda function that says whether the database answers. Small, so that it starts fast: no pydantic."""

import time
from dataclasses import asdict
from typing import Any

from aws_lambda_powertools.event_handler.api_gateway import Router
from sqlalchemy import Connection, text

from handlers.environment import database, entry_point, logger
from handlers.http import Api, allow_only

router = Router()  # type: ignore[no-untyped-call]  # Powertools has not annotated it


@router.get("/health")
def health() -> dict[str, Any]:
    """Say in how many milliseconds a statement was answered, a new connection included, and what the pool holds then.

    Where the database cannot be had, the answer is the API's own: 503 with Retry-After.
    """
    began = time.monotonic()
    with database.autocommit() as connection:
        _ask(connection)
    answered_ms = round((time.monotonic() - began) * 1000, 3)
    return {"status": "ok", "answered_ms": answered_ms, "pool": asdict(database.pool_state())}


def _ask(connection: Connection) -> None:
    connection.execute(text("select 1"))


allow_only(router, "/health", "GET")

handler = entry_point(Api(router, logger, validated=False), [_ask])
