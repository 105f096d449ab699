"""The statements on `records`: each takes a Connection and returns plain data, so that nothing is borrowed longer."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update
from sqlalchemy import delete as delete_from
from sqlalchemy.exc import DBAPIError

from db import sqlstate
from records.errors import DuplicateNameError, NotAllowedError, NotFoundError, StaleVersionError
from records.table import PAYLOAD_MAX_STORED_BYTES, records


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a client decides about a record."""

    name: str
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A record as it is stored."""

    id: int
    name: str
    payload: dict[str, Any]
    version: int
    """1 when created, one more with each replacement."""
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What one of many created records is called."""

    id: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Records in the order of their names."""

    items: list[Record]
    last_name: str | None
    """The name after which the next page begins; None where this is the last page."""


def create(connection: Connection, draft: Draft) -> Record:
    """Insert a record; raise DuplicateNameError where its name is taken."""
    with _refusals():
        return _record(connection.execute(insert(records).values(_values(draft)).returning(*records.c)).one())


def create_many(connection: Connection, drafts: Sequence[Draft]) -> list[Key]:
    """Insert all records in one statement, or none; raise DuplicateNameError where a name is taken or twice there.

    The keys come in the order of the drafts. Payloads do not come back: 500 of them may be more than Lambda answers.
    """
    statement = insert(records).returning(records.c.id, records.c.name, sort_by_parameter_order=True)
    with _refusals():
        rows = connection.execute(statement, [_values(draft) for draft in drafts])
    return [Key(id=row.id, name=row.name) for row in rows]


def get(connection: Connection, record_id: int) -> Record:
    """Return the record; raise NotFoundError where there is none."""
    return _found(connection.execute(select(records).where(records.c.id == record_id)).one_or_none(), record_id)


def list_page(connection: Connection, *, limit: int, prefix: str = "", after: str | None = None) -> Page:
    """Return up to `limit` records whose names begin with `prefix` and follow `after`.

    Keyset pagination (https://use-the-index-luke.com/no-offset): a page costs the same wherever it lies.
    A record that is renamed while a client turns the pages may be met twice or not at all.
    """
    statement = select(records).order_by(records.c.name).limit(limit + 1)
    if prefix:
        statement = statement.where(records.c.name.startswith(prefix, autoescape=True))
    if after is not None:
        statement = statement.where(records.c.name > after)
    items = [_record(row) for row in connection.execute(statement)]
    return Page(items=items[:limit], last_name=items[limit - 1].name if len(items) > limit else None)


def replace(connection: Connection, record_id: int, draft: Draft, *, version: int) -> Record:
    """Replace the record if it still has `version`; raise NotFoundError, StaleVersionError or DuplicateNameError."""
    statement = (
        update(records)
        .where(records.c.id == record_id, records.c.version == version)
        .values(**_values(draft), version=records.c.version + 1, updated_at=func.now())
        .returning(*records.c)
    )
    with _refusals():
        row = connection.execute(statement).one_or_none()
    if row is None:
        raise _why_untouched(connection, record_id)
    return _record(row)


def delete(connection: Connection, record_id: int, *, version: int | None = None) -> None:
    """Delete the record, if it still has `version` where one is given; raise NotFoundError or StaleVersionError."""
    statement = delete_from(records).where(records.c.id == record_id)
    if version is not None:
        statement = statement.where(records.c.version == version)
    if not connection.execute(statement).rowcount:
        raise _why_untouched(connection, record_id)


def _why_untouched(connection: Connection, record_id: int) -> StaleVersionError:
    """Return the reason why a conditional statement met no row; a second flight, but only then."""
    current = get(connection, record_id)
    return StaleVersionError(f"record {record_id} has changed: its version is {current.version}")


def _values(draft: Draft) -> dict[str, Any]:
    return {"name": draft.name, "payload": draft.payload}


def _record(row: Row[Any]) -> Record:
    return Record(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping


def _found(row: Row[Any] | None, record_id: int) -> Record:
    if row is None:
        raise NotFoundError(f"there is no record {record_id}")
    return _record(row)


@contextmanager
def _refusals() -> Iterator[None]:
    """Raise our own error where a constraint of the table refuses the statement."""
    try:
        yield
    except DBAPIError as error:
        match sqlstate(error):
            case "23505":  # unique_violation
                raise DuplicateNameError("a record of this name exists already") from error
            case "23514":  # check_violation
                raise NotAllowedError(f"the payload takes more than {PAYLOAD_MAX_STORED_BYTES} bytes") from error
        raise
