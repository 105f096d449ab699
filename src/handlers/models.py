"""What clients of the records API send and get, as pydantic models: the source of their validation and description."""

import json
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from handlers.admission import MAX_DEPTH
from records import NAME_MAX_LENGTH, Draft, Key, Record

MAX_PAYLOAD_BYTES = 16 * 1024
"""Bytes of a payload as compact JSON: a full page stays below the 6 MB that a function may answer."""
MAX_AT_ONCE = 500
"""Records that one request may create."""
MAX_PAGE = 100
"""Records that one answer may list."""


def _in_digits(value: object) -> object:
    """Refuse what `int` reads besides digits: `1_0`, `+1`, `01`, `5.0` are no other way to write a number here."""
    if isinstance(value, str) and not re.fullmatch("0|[1-9][0-9]*", value):
        raise PydanticCustomError("digits", "must be a whole number, in digits")
    return value


def _small(payload: dict[str, Any]) -> dict[str, Any]:
    if len(json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()) > MAX_PAYLOAD_BYTES:
        raise ValueError(f"must not be longer than {MAX_PAYLOAD_BYTES} bytes")
    return payload


InDigits = BeforeValidator(_in_digits)
"""A whole number in a path or query."""
Name = Annotated[str, Field(min_length=1, max_length=NAME_MAX_LENGTH, examples=["kettle"])]
Payload = Annotated[
    dict[str, Any],
    AfterValidator(_small),
    Field(
        examples=[{"colour": "red"}],
        description=f"At most {MAX_PAYLOAD_BYTES} bytes as compact JSON, with the body around it {MAX_DEPTH} deep.",
    ),
]


class NewRecord(BaseModel):
    """A record to create, or to put in another's place."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    payload: Payload

    def draft(self) -> Draft:
        """Return what the domain calls it."""
        return Draft(name=self.name, payload=self.payload)


class NewRecords(BaseModel):
    """Records to create together: all or none."""

    model_config = ConfigDict(extra="forbid")

    items: Annotated[list[NewRecord], Field(min_length=1, max_length=MAX_AT_ONCE)]


class CreatedRecords(BaseModel):
    """The keys of records that were created together, in the order in which they were sent."""

    items: list[Key]


class RecordList(BaseModel):
    """A page of records in the order of their names."""

    items: list[Record]
    next_cursor: str | None = None
    """Give it as `cursor` to get the next page; null on the last."""
