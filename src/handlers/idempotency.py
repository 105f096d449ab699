"""A request that may be sent again: with an Idempotency-Key its work is done once, and its answer is the first one.

https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

import hashlib
import json
from collections.abc import Callable
from typing import Annotated, TypeVar

from aws_lambda_powertools.event_handler.openapi.params import Header
from pydantic import BaseModel, TypeAdapter
from sqlalchemy import Connection

import records
from db import Database
from records import KEY_MAX_LENGTH

Result = TypeVar("Result")

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="idempotency-key",
        min_length=1,
        max_length=KEY_MAX_LENGTH,
        pattern=r"^[\x21-\x7e]+$",
        description="Of the client's choice, new for each request and the same when it is sent again within 24 hours.",
    ),
]


def own_key(key: str | None, caller: str) -> str | None:
    """Return what `key` is called among the keys of all; as it is where anybody may call."""
    if key is None or not caller:
        return key
    return f"{hashlib.sha256(caller.encode()).hexdigest()} {key}"  # has a blank, which no client's key has


def run_once(
    database: Database,
    key: str | None,
    request: BaseModel,
    result: TypeAdapter[Result],
    work: Callable[[Connection], Result],
) -> Result:
    """Return what `work` returns, committed; what it returned the first time where `key` came with this request before.

    `result` is how that is kept. Raise records.KeyReusedError where `key` came with another request.
    """
    if key is None:
        return database.run_transaction(work)

    def once(connection: Connection) -> Result:
        first = records.claim(connection, key, _fingerprint(request))
        if first is not None:
            return result.validate_json(first)
        done = work(connection)
        records.keep(connection, key, result.dump_json(done).decode())
        return done

    return database.run_transaction(once)


def _fingerprint(request: BaseModel) -> bytes:
    """Return what tells requests apart: kind and content, whatever the order in which an object's members come."""
    content = json.dumps(request.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(f"{type(request).__name__} {content}".encode()).digest()
