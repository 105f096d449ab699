"""SQLSTATE to error, as a table."""

import pytest

from db import errors
from db.errors import SlotwiseError, error_for


@pytest.mark.parametrize(
    ("sqlstate", "expected"),
    [
        ("53300", errors.SaturatedError),
        ("53100", errors.UnavailableError),
        ("53200", errors.UnavailableError),
        ("58030", errors.UnavailableError),
        ("55P03", errors.ConflictError),
        ("28P01", errors.LoginRefusedError),
        ("28000", errors.LoginRefusedError),
        ("3D000", errors.LoginRefusedError),
        ("57P03", errors.UnreachableError),
        ("57P01", errors.ConnectionLostError),
        ("57P05", errors.ConnectionLostError),
        ("08006", errors.ConnectionLostError),
        ("57014", errors.DeadlineExceededError),
        ("40001", errors.ConflictError),
        ("40P01", errors.ConflictError),
        ("25006", errors.ReadOnlyError),
        ("23505", None),
        ("42601", None),
        (None, None),
    ],
)
def test_each_sqlstate_has_its_error(sqlstate: str | None, expected: type[SlotwiseError] | None) -> None:
    """What is not about the connection stays the statement's own."""
    assert error_for(sqlstate) is expected


def test_every_error_has_a_name_of_its_own() -> None:
    """A metric's dimension tells them apart."""
    found = [error for error in vars(errors).values() if isinstance(error, type) and issubclass(error, SlotwiseError)]
    assert len(found) == len({error.kind for error in found})
