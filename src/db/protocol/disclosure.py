"""What of a server's message may be shown: names and codes always, its text only where no value can be in it.

PostgreSQL writes values into DETAIL (23505: `Key (email)=(...) already exists`) and, for some errors, into the text
itself (22P02: `invalid input syntax for type integer: "..."`). Whatever is shown may end in a log.
Fields: https://www.postgresql.org/docs/current/protocol-error-fields.html
"""

from collections.abc import Mapping

NAMES = (
    ("s", "schema"),
    ("t", "table"),
    ("c", "column"),
    ("d", "type"),
    ("n", "constraint"),
)
"""Fields that name what the error is about."""

WITHOUT_VALUES = frozenset(
    {"08", "0A", "23", "25", "26", "28", "34", "3B", "3D", "3F", "40", "42", "53", "54", "55", "57", "58"}
)
"""The classes of SQLSTATE whose text names things and quotes no value; the rest is not shown."""

RAISED = "exec_stmt_raise"
"""The routine behind a RAISE in PL/pgSQL: whatever its SQLSTATE, its text is the application's."""


def shown(fields: Mapping[str, str]) -> str:
    """Return severity, SQLSTATE, the text if it is safe, and what the error is about."""
    parts = [f"{fields.get('S', 'ERROR')} {fields.get('C')}"]
    if fields.get("C", "")[:2] in WITHOUT_VALUES and fields.get("R") != RAISED:
        parts.append(fields.get("M", ""))
    parts += [f"{name} {fields[code]}" for code, name in NAMES if code in fields]
    return ": ".join([parts[0], ", ".join(parts[1:])]) if parts[1:] else parts[0]
