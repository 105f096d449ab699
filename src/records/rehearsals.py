"""Each statement on the tables once, in each of its forms: to be compiled before the first request (db.rehearsal)."""

from functools import partial
from itertools import product

from db import Work
from records.idempotency import claim, keep
from records.statements import Draft, create, create_many, delete, get, list_page, replace

_DRAFT = Draft(name="", payload={})

REHEARSALS: tuple[Work, ...] = (
    partial(create, draft=_DRAFT),
    partial(create_many, drafts=[_DRAFT]),
    partial(create_many, drafts=[_DRAFT, _DRAFT]),
    partial(get, record_id=1),
    *(partial(list_page, limit=1, prefix=prefix, after=after) for prefix, after in product(("", "a"), (None, "a"))),
    partial(replace, record_id=1, draft=_DRAFT, version=1),
    *(partial(delete, record_id=1, version=version) for version in (None, 1)),
    partial(claim, key="", fingerprint=b""),
    partial(keep, key="", result=""),
)
