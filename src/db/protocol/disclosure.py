"""What of a server's message may be shown: names and codes always, its text only where no value can be in it.

PostgreSQL writes values into DETAIL (23505: `Key (email)=(...) already exists`) and, for many errors, into the text
itself: 22P02 quotes what is no integer, and whatever takes a name as a value (`current_setting(:name)`, `::regclass`,
`to_tsquery`, `nextval`) quotes that under the SQLSTATE of a statement that is wrong, or of one that may not do what it
does (42501). Whatever is shown may end in a log.
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

WITHOUT_VALUES = ("08P01", "23", "25", "26", "28", "3B", "40", "53", "54001", "55P03", "57")
"""SQLSTATEs and classes of them whose text names what is there, and quotes no value."""

OF_THE_STATEMENT = ("0A", "3D", "3F", "42")
"""Those whose text quotes no value where the server points into the statement: its text, not its values, is wrong."""

OF_THE_SESSION = ("08", "22", "3D", "42", "55")
"""Those whose text quotes no value where the session ends for it: a login that is refused, by its own parameters."""

RAISED = "exec_stmt_raise"
"""The routine behind a RAISE in PL/pgSQL: whatever its SQLSTATE, its text is the application's."""


def shown(fields: Mapping[str, str]) -> str:
    """Return severity, SQLSTATE, the text if it is safe, and what the error is about."""
    parts = [f"{fields.get('S', 'ERROR')} {fields.get('C')}"]
    if _is_text_safe(fields):
        parts.append(fields.get("M", ""))
    parts += [f"{name} {fields[code]}" for code, name in NAMES if code in fields]
    return ": ".join([parts[0], ", ".join(parts[1:])]) if parts[1:] else parts[0]


def _is_text_safe(fields: Mapping[str, str]) -> bool:
    if fields.get("R") == RAISED:
        return False
    safe: tuple[str, ...] = WITHOUT_VALUES
    if fields.get("V", fields.get("S")) == "FATAL":
        safe += OF_THE_SESSION
    if _points_into_the_statement(fields):
        safe += OF_THE_STATEMENT
    return fields.get("C", "").startswith(safe)


def _points_into_the_statement(fields: Mapping[str, str]) -> bool:
    """Say whether the position is in the statement: with a context it may be in a value (`to_regtype(:name)`)."""
    return "P" in fields and "W" not in fields
