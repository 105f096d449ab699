"""From a SQLSTATE to DBAPI's class, and what ends a connection."""

import pytest
from pg8000 import dbapi
from sqlalchemy import exc

from db.dialect import SlotwiseDialect
from db.protocol.server_errors import (
    ClosedError,
    DisconnectedError,
    TookTooLongError,
    error_from,
    is_broken,
    sqlstate_of,
)

dialect = SlotwiseDialect(dbapi=dbapi)


@pytest.mark.parametrize(
    ("sqlstate", "kind"),
    [
        ("0A000", exc.NotSupportedError),
        ("08006", exc.OperationalError),
        ("22P02", exc.DataError),
        ("23505", exc.IntegrityError),
        ("25006", exc.OperationalError),
        ("28P01", exc.OperationalError),
        ("40001", exc.OperationalError),
        ("42P01", exc.ProgrammingError),
        ("53300", exc.OperationalError),
        ("57014", exc.OperationalError),
        ("XX000", exc.InternalError),
        ("P0001", exc.ProgrammingError),
        ("", exc.ProgrammingError),
    ],
)
def test_sqlalchemy_wraps_each_error_as_its_own_class(sqlstate: str, kind: type[exc.DBAPIError]) -> None:
    """Recipes that catch OperationalError match, as with any other driver."""
    error = error_from({"S": "ERROR", "C": sqlstate, "M": "m", "D": "secret value"})
    wrapped = exc.DBAPIError.instance("select", {}, error, dbapi.Error, hide_parameters=True)
    assert type(wrapped) is kind
    assert sqlstate_of(error) == sqlstate
    assert "secret" not in str(wrapped)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (DisconnectedError("gone"), True),
        (TookTooLongError("late"), True),
        (ClosedError("closed"), True),
        (error_from({"V": "FATAL", "C": "57P01"}), True),
        (error_from({"V": "PANIC", "C": "XX000"}), True),
        (error_from({"V": "ERROR", "C": "57014"}), False),
        (error_from({"V": "ERROR", "C": "08006"}), False),  # of a foreign server that the statement asked
        (dbapi.InterfaceError("connection is closed"), False),
        (ValueError("network error"), False),
    ],
)
def test_a_disconnect_is_told_by_type_and_severity(error: Exception, *, expected: bool) -> None:
    """Never by what a message says."""
    assert is_broken(error) is expected
    assert dialect.is_disconnect(error, None, None) is expected


def test_a_server_that_takes_no_writes_any_more_is_left() -> None:
    """25006 after a failover: the pool must not keep the connection."""
    assert dialect.is_disconnect(error_from({"V": "ERROR", "C": "25006"}), None, None)
