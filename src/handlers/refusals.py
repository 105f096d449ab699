"""What a request is refused for before any record is looked at. Knows nothing of the database."""

from dataclasses import dataclass
from http import HTTPStatus


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong with one field."""

    field: str
    """Where it is: `body.payload.colour`, `query.limit`, `header.if-match`."""
    reason: str


class RefusedError(Exception):
    """The request cannot be served as it is; the client must change it."""

    def __init__(self, status: HTTPStatus, *flaws: Flaw, headers: dict[str, str] | None = None) -> None:
        super().__init__(status.phrase)
        self.status = status
        self.flaws = flaws
        self.headers = headers or {}


def malformed(field: str, reason: str) -> RefusedError:
    """Return the refusal of what cannot be read (400)."""
    return RefusedError(HTTPStatus.BAD_REQUEST, Flaw(field, reason))


def unacceptable(field: str, reason: str) -> RefusedError:
    """Return the refusal of what can be read and is not allowed (422)."""
    return RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, Flaw(field, reason))
