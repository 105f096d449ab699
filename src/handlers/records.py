"""The Lambda function of the records API: routes in, answers out.

A connection is borrowed around the statements only, and is back in the pool when the answer is put together. Reads are
single statements that need no transaction; writes are transactions that may be run again where nothing was committed.
"""

import re
from http import HTTPStatus
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.api_gateway import Router
from aws_lambda_powertools.event_handler.openapi.params import Header, Path, Query
from pydantic import TypeAdapter

import records
from handlers import cursor as cursors
from handlers.caller import caller_of
from handlers.documentation import OF_A_BODY, answers
from handlers.environment import database, entry_point, logger
from handlers.http import Api, allow_only
from handlers.idempotency import IdempotencyKey, own_key, run_once
from handlers.models import MAX_PAGE, CreatedRecords, InDigits, NewRecord, NewRecords, RecordList
from handlers.refusals import Flaw, RefusedError, malformed
from records import NAME_MAX_LENGTH, Key, Record

JSON = "application/json"
BIGINT_MAX = 2**63 - 1
VERSION_MAX = 2**31 - 1
OF_DELETING = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED)
OF_REPLACING = (*OF_DELETING, HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_REQUIRED)
RECORD = TypeAdapter(Record)
KEYS = TypeAdapter(list[Key])
"""What is kept with an Idempotency-Key; built by INIT, as an invocation has only a share of the processor."""

RecordId = Annotated[int, InDigits, Path(ge=1, le=BIGINT_MAX)]
ETAG = r'^"([1-9][0-9]{0,9})"$'
IfMatch = Annotated[
    str | None,
    Header(
        alias="if-match",
        description='The ETag that was read, such as `"1"`.',
        json_schema_extra={"pattern": ETAG},  # said only: what has another form is 400, by _version
    ),
]

router = Router()  # type: ignore[no-untyped-call]  # Powertools has not annotated it


@router.post("/records", responses=answers(HTTPStatus.CREATED, Record, *OF_A_BODY, HTTPStatus.CONFLICT))
def create(new: NewRecord, key: IdempotencyKey = None) -> Response[Record]:
    """Create a record."""
    draft = new.draft()
    record = run_once(database, _own(key), new, RECORD, lambda connection: records.create(connection, draft))
    return _answer(record, HTTPStatus.CREATED, Location=f"records/{record.id}")


@router.post("/records/batch", responses=answers(HTTPStatus.CREATED, CreatedRecords, *OF_A_BODY, HTTPStatus.CONFLICT))
def create_many(new: NewRecords, key: IdempotencyKey = None) -> Response[CreatedRecords]:
    """Create up to 500 records in one transaction: all of them or none."""
    drafts = [item.draft() for item in new.items]
    created = run_once(database, _own(key), new, KEYS, lambda connection: records.create_many(connection, drafts))
    return Response(HTTPStatus.CREATED, JSON, CreatedRecords(items=created))


@router.get("/records", responses=answers(HTTPStatus.OK, RecordList, HTTPStatus.BAD_REQUEST))
def list_records(
    limit: Annotated[int, InDigits, Query(ge=1, le=MAX_PAGE)] = 50,
    name_prefix: Annotated[str, Query(max_length=NAME_MAX_LENGTH)] = "",
    cursor: Annotated[str | None, Query(max_length=cursors.MAX_LENGTH)] = None,
) -> RecordList:
    """List records in the order of their names, page by page."""
    after = cursors.decode(cursor, name_prefix) if cursor is not None else None
    with database.autocommit() as connection:
        page = records.list_page(connection, limit=limit, prefix=name_prefix, after=after)
    following = cursors.encode(name_prefix, page.last_name) if page.last_name is not None else None
    return RecordList(items=page.items, next_cursor=following)


@router.get("/records/<record_id>", responses=answers(HTTPStatus.OK, Record, HTTPStatus.NOT_FOUND))
def get(record_id: RecordId) -> Response[Record]:
    """Return a record, its version as ETag."""
    with database.autocommit() as connection:
        record = records.get(connection, record_id)
    return _answer(record)


@router.put("/records/<record_id>", responses=answers(HTTPStatus.OK, Record, *OF_A_BODY, *OF_REPLACING))
def replace(record_id: RecordId, new: NewRecord, if_match: IfMatch = None) -> Response[Record]:
    """Replace a record that is still as the client read it."""
    version = _version(if_match)
    if version is None:
        raise RefusedError(HTTPStatus.PRECONDITION_REQUIRED, Flaw("header.if-match", "must be the ETag that was read"))
    draft = new.draft()
    record = database.run_transaction(lambda connection: records.replace(connection, record_id, draft, version=version))
    return _answer(record)


@router.delete("/records/<record_id>", responses=answers(HTTPStatus.NO_CONTENT, None, *OF_DELETING))
def delete(record_id: RecordId, if_match: IfMatch = None) -> Response[None]:
    """Delete a record; with If-Match only if it is still as the client read it."""
    version = _version(if_match)
    database.run_transaction(lambda connection: records.delete(connection, record_id, version=version))
    return Response(HTTPStatus.NO_CONTENT)


def _own(key: str | None) -> str | None:
    """Return the key among those of this caller."""
    return own_key(key, caller_of(router.current_event.raw_event))


def _answer(record: Record, status: HTTPStatus = HTTPStatus.OK, **headers: str) -> Response[Record]:
    return Response(status, JSON, record, {"ETag": f'"{record.version}"', **headers})


def _version(if_match: str | None) -> int | None:
    """Return the version that an ETag of ours names; None for none. RFC 9110, 13.1.1."""
    if if_match is None:
        return None
    found = re.fullmatch(ETAG, if_match.strip(), re.ASCII)
    if not found or int(found[1]) > VERSION_MAX:
        raise malformed("header.if-match", 'must be one ETag of this API, such as "1"')
    return int(found[1])


allow_only(router, "/records", "GET", "POST")
allow_only(router, "/records/batch", "POST")
allow_only(router, "/records/<record_id>", "DELETE", "GET", "PUT")

handler = entry_point(Api(router, logger, validated=True), records.REHEARSALS)
