"""What a statement is, whatever its values and however many rows it carries: a text without values, and its hash. Pure.

Not PostgreSQL's query id, which only the server can tell; but the same for what SQLAlchemy sends and for what
pg_stat_statements keeps of it.
"""

import re
from functools import lru_cache
from hashlib import blake2s

_TOKENS = re.compile(
    r"""
    (?P<space> (?: \s+ | --[^\n]* | /\*(?:[^*/]|\*(?!/)|/(?!\*))*+(?:\*/|/\*.*|\Z) )+ )
    | (?P<name> "(?:[^"]|"")*" )
    | \be'(?:[^'\\]|''|\\.)*' | \b(?:[bnx]|u&)?'(?:[^']|'')*' | '(?:[^']|'')*(?:'|\Z)
    | (?P<tag> \$\w*\$ ).*?(?P=tag)
    | \$\d+ | %s | (?<![\w.])(?: 0x\w+ | \.?\d[\w.]*(?:(?<=e)[+-]\d\w*)? )
    """,
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
"""Spaces and comments, names in quotes, and what is a value: texts, dollar quotes, placeholders, numbers.

What follows on a comment within a comment is taken for one, as it takes more than a pattern to see where they end.
https://www.postgresql.org/docs/current/sql-syntax-lexical.html
"""
_CAST = re.compile(
    r"\? ?:: ?[a-z_][a-z_0-9.]*(?: (?:precision|varying|with(?:out)? time zone))*(?:\(\?(?: ?, ?\?)*\))?(?:\[\])*",
    re.IGNORECASE,
)
_LIST = re.compile(r"\?(?: ?, ?\?)+")
_ROWS = re.compile(r"(\([^()]*\))(?: ?, ?\1)+")


@lru_cache(maxsize=256)
def normalised(statement: str) -> str:
    """Return the statement without comments and values, lists of values and rows cut down to one.

    Whatever stands in quotes or is a number is a value: what is shown of a statement must show none.
    """
    text = _TOKENS.sub(_without_value, statement).strip().rstrip("; ")
    text = _CAST.sub("?", text)
    return _ROWS.sub(r"\1", _LIST.sub("?", text))


def _without_value(found: re.Match[str]) -> str:
    if found["name"]:
        return found["name"]
    return " " if found["space"] else "?"


def fingerprint(statement: str) -> str:
    """Return sixteen hexadecimal digits that are the same for statements that differ in values only."""
    return blake2s(normalised(statement).lower().encode(), digest_size=8).hexdigest()
