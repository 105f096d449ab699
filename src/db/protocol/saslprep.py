"""SASLprep as PostgreSQL does it, which is not quite as RFC 4013 has it: what counts is that both ends do the same.

https://github.com/postgres/postgres/blob/master/src/common/saslprep.c (`pg_saslprep`), the same in server and libpq.
The letters are tables of RFC 3454. Imported where a password is not ASCII, and not before.
"""

import stringprep
import unicodedata

PROHIBITED = (
    stringprep.in_table_a1,  # not in Unicode 3.2; of what is, NFKC is the same in every version since 4.1
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)
"""C.1.2 is among them, too, and has become spaces by then."""


def saslprep(password: str) -> str:
    """Return what takes the place of a password that is not ASCII: the password itself where it cannot be prepared."""
    mapped = "".join(_mapped(character) for character in password)
    return unicodedata.normalize("NFKC", mapped) if _is_allowed(mapped) else password


def _mapped(character: str) -> str:
    """U+200B is in both tables, and a space here."""
    if stringprep.in_table_c12(character):
        return " "
    return "" if stringprep.in_table_b1(character) else character


def _is_allowed(mapped: str) -> bool:
    """Look at the password as it was before NFKC, as PostgreSQL does; the RFC has it the other way round."""
    if not mapped or any(prohibits(character) for character in mapped for prohibits in PROHIBITED):
        return False
    if not any(map(stringprep.in_table_d1, mapped)):
        return True
    ends_right_to_left = stringprep.in_table_d1(mapped[0]) and stringprep.in_table_d1(mapped[-1])
    return ends_right_to_left and not any(map(stringprep.in_table_d2, mapped))
