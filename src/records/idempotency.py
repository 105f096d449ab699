"""Requests that a client may send again: each key's result is kept in the transaction that did the work.

So a result is there exactly when the work is. https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
"""

from sqlalchemy import (
    Column,
    Connection,
    DateTime,
    Index,
    LargeBinary,
    PrimaryKeyConstraint,
    Table,
    Text,
    delete,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.dml import ReturningInsert

from records.errors import KeyReusedError
from records.table import metadata

KEY_MAX_LENGTH = 255
"""Characters of a key."""
KEPT_FOR = text("interval '24 hours'")
"""After so long a key may be used for something else."""
SWEPT_AT_ONCE = 10
"""How many keys that are past that a new one takes away: with two the table would shrink already."""

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("key", Text(collation="C"), nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("result", Text),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    PrimaryKeyConstraint("key", name="idempotency_keys_pkey"),
    Index("idempotency_keys_created_at", "created_at"),
)
"""`fingerprint` says what the key was used for; `result` is what came of it, as the caller writes it."""


def claim(connection: Connection, key: str, fingerprint: bytes) -> str | None:
    """Return the result that is kept under `key`; None where it is this transaction's to do the work and `keep` it.

    Another transaction with the same key is waited for. Raise KeyReusedError where the key was used for something else.
    """
    if connection.scalar(_claim(key, fingerprint)) is not None:
        return None
    used = select(idempotency_keys.c.fingerprint, idempotency_keys.c.result).where(idempotency_keys.c.key == key)
    first = connection.execute(used).one()
    if bytes(first.fingerprint) != fingerprint:
        raise KeyReusedError("this Idempotency-Key was used for another request")
    result: str = first.result
    return result


def _claim(key: str, fingerprint: bytes) -> ReturningInsert[tuple[str]]:
    """Return the statement that inserts the key, or takes over one that is past its time, and sweeps a few of those."""
    keys = idempotency_keys.c
    past = keys.created_at < func.now() - KEPT_FOR
    some = select(keys.key).where(past, keys.key != key).limit(SWEPT_AT_ONCE).with_for_update(skip_locked=True)
    swept = delete(idempotency_keys).where(keys.key.in_(some)).returning(keys.key).cte("swept")
    fresh = {"fingerprint": fingerprint, "result": None, "created_at": func.now()}
    statement = insert(idempotency_keys).values(key=key, fingerprint=fingerprint).add_cte(swept)
    return statement.on_conflict_do_update(index_elements=["key"], set_=fresh, where=past).returning(keys.key)


def keep(connection: Connection, key: str, result: str) -> None:
    """Keep what came of the work that `key` was claimed for."""
    connection.execute(update(idempotency_keys).where(idempotency_keys.c.key == key).values(result=result))
