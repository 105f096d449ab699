"""Names and texts as parts of SQL, quoted by SQLAlchemy: utility statements take no bind parameters."""

from sqlalchemy import String
from sqlalchemy.dialects.postgresql.base import PGDialect

_DIALECT = PGDialect(paramstyle="named")  # type: ignore[no-untyped-call]  # not annotated; with this style no % is doubled
_literal = String().literal_processor(_DIALECT)  # type: ignore[no-untyped-call]  # as above


def identifier(name: str) -> str:
    """Return a name in quotes, whatever it holds."""
    quoted: str = _DIALECT.identifier_preparer.quote_identifier(name)
    return quoted


def literal(value: str) -> str:
    """Return a text in quotes, whatever it holds."""
    return str(_literal(value)) if _literal else ""
