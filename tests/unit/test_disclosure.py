"""What of a server's message may be shown, as a table."""

import pytest

from db.protocol.disclosure import shown
from db.protocol.server_errors import error_from

HIDDEN = "a value that must not be seen"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {
                "S": "ERROR",
                "C": "23505",
                "M": 'duplicate key value violates unique constraint "records_name"',
                "D": f"Key (name)=({HIDDEN}) already exists.",
                "s": "public",
                "t": "records",
                "n": "records_name",
            },
            (
                'ERROR 23505: duplicate key value violates unique constraint "records_name", '
                "schema public, table records, constraint records_name"
            ),
        ),
        ({"S": "ERROR", "C": "22P02", "M": f'invalid input syntax for type integer: "{HIDDEN}"'}, "ERROR 22P02"),
        ({"S": "ERROR", "C": "22001", "M": HIDDEN, "t": "records", "c": "n"}, "ERROR 22001: table records, column n"),
        ({"S": "ERROR", "C": "P0001", "M": HIDDEN, "W": HIDDEN, "H": HIDDEN}, "ERROR P0001"),
        ({"S": "ERROR", "C": "23505", "M": HIDDEN, "R": "exec_stmt_raise"}, "ERROR 23505"),
        ({"S": "ERROR", "C": "XX000", "M": HIDDEN, "q": HIDDEN}, "ERROR XX000"),
        ({"S": "FATAL", "C": "57P01", "M": "terminating connection"}, "FATAL 57P01: terminating connection"),
        (
            {"S": "ERROR", "C": "42P01", "M": 'relation "record" does not exist', "P": "15"},
            'ERROR 42P01: relation "record" does not exist',
        ),
        ({"S": "ERROR", "C": "42704", "M": HIDDEN}, "ERROR 42704"),
        ({"S": "ERROR", "C": "42601", "M": HIDDEN, "P": "7", "W": f'invalid type name "{HIDDEN}"'}, "ERROR 42601"),
        ({"S": "ERROR", "C": "22P02", "M": HIDDEN, "P": "7"}, "ERROR 22P02"),
        ({"S": "ERROR", "C": "3F000", "M": HIDDEN}, "ERROR 3F000"),
        ({"S": "ERROR", "C": "58P01", "M": HIDDEN}, "ERROR 58P01"),
        (
            {"S": "ERROR", "C": "42501", "M": "permission denied for schema records", "P": "15"},
            "ERROR 42501: permission denied for schema records",
        ),
        ({"S": "ERROR", "C": "42501", "M": HIDDEN}, "ERROR 42501"),
        ({"S": "ERROR", "C": "55000", "M": HIDDEN}, "ERROR 55000"),
        ({"S": "ERROR", "C": "55006", "M": HIDDEN}, "ERROR 55006"),
        ({"S": "ERROR", "C": "55P03", "M": "could not obtain lock"}, "ERROR 55P03: could not obtain lock"),
        (
            {"S": "FATAL", "C": "3D000", "M": 'database "slots" does not exist'},
            'FATAL 3D000: database "slots" does not exist',
        ),
        ({"S": "ERROR", "C": "3D000", "M": HIDDEN}, "ERROR 3D000"),
        (
            {"S": "FATALE", "V": "FATAL", "C": "3D000", "M": "il database non esiste"},
            "FATALE 3D000: il database non esiste",
        ),
        ({}, "ERROR None"),
    ],
)
def test_names_are_shown_and_values_are_not(fields: dict[str, str], expected: str) -> None:
    """SQLSTATE, constraint, table, column and type always; the text only where it quotes no value; DETAIL never."""
    error = error_from(fields)
    assert shown(fields) == str(error) == expected
    assert HIDDEN not in repr(error)
    assert HIDDEN not in repr(error.args)
    assert error.fields == fields, "whoever needs a field asks for it"
