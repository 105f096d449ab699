"""What a statement says of who asks: a comment in sqlcommenter's form. Pure.

PostgreSQL's parser drops comments, so that a statement's fingerprint stays the same. It is added when a statement is
sent, behind every cache that goes by the statement's text.
https://google.github.io/sqlcommenter/spec/
"""

from collections.abc import Mapping
from urllib.parse import quote


def comment(tags: Mapping[str, str]) -> str:
    """Return the comment, with a space before it; empty where nothing is to say.

    Encoded as in a URL, no value can end the comment or be taken for SQL, whoever has chosen it.
    """
    pairs = ",".join(f"{quote(key, safe='')}='{quote(value, safe='')}'" for key, value in sorted(tags.items()))
    return f" /*{pairs}*/" if pairs else ""


def commented(statement: str, text: str) -> str:
    """Return the statement with the comment behind it; unchanged where it has one of its own, as the form demands."""
    return statement if "/*" in statement or "--" in statement else statement + text
