"""What goes in front of a statement: a table."""

import math

import pytest

from db.deadline import UNBOUNDED, Deadline
from db.protocol.riders import (
    FAILED,
    IDLE,
    IN_TRANSACTION,
    MARGIN_MS,
    TransactionModes,
    may_commit,
    server_limit_ms,
    travelling_in_front,
)

PLAIN = TransactionModes()
IN_5_S = Deadline(5.0, clock=lambda: 0.0)
LIMIT = "set local statement_timeout = 4900"
LIMIT_ALONE = "select set_config('statement_timeout', '4900', true)"
READ_ONLY_ALONE = "select set_config('transaction_read_only', 'on', true)"


@pytest.mark.parametrize(
    ("status", "modes", "deadline", "autocommit", "expected"),
    [
        (IDLE, PLAIN, IN_5_S, False, ["begin transaction", LIMIT]),
        (IDLE, PLAIN, UNBOUNDED, False, ["begin transaction"]),
        (IDLE, PLAIN, None, False, ["begin transaction"]),
        (IDLE, PLAIN, IN_5_S, True, [LIMIT_ALONE]),
        (IDLE, PLAIN, UNBOUNDED, True, []),
        (IDLE, TransactionModes(read_only=True), IN_5_S, True, [READ_ONLY_ALONE, LIMIT_ALONE]),
        (IN_TRANSACTION, PLAIN, IN_5_S, False, [LIMIT]),
        (IN_TRANSACTION, PLAIN, IN_5_S, True, [LIMIT]),
        (IN_TRANSACTION, PLAIN, None, False, []),
        (FAILED, PLAIN, IN_5_S, False, []),
        (FAILED, PLAIN, IN_5_S, True, []),
    ],
)
def test_what_goes_in_front(
    status: bytes, modes: TransactionModes, deadline: Deadline | None, expected: list[str], *, autocommit: bool
) -> None:
    """BEGIN where a transaction begins, the limit where it is not known; nothing where it could only fail."""
    assert travelling_in_front(status, modes, deadline, autocommit=autocommit) == expected


@pytest.mark.parametrize(
    ("modes", "begin"),
    [
        (PLAIN, "begin transaction"),
        (TransactionModes(isolation_level="SERIALIZABLE"), "begin transaction isolation level serializable"),
        (TransactionModes(read_only=False, deferrable=True), "begin transaction read write deferrable"),
        (TransactionModes(read_only=True, deferrable=False), "begin transaction read only not deferrable"),
    ],
)
def test_begin_says_the_modes(modes: TransactionModes, begin: str) -> None:
    """Those that were set, and no others."""
    assert modes.begin() == begin


@pytest.mark.parametrize(
    ("left_s", "limit_ms"),
    [(5.0, 4900), (1.0, 900), (0.5, 450), (0.001, 1), (0.0, 1), (3_000_000.0, None), (math.inf, None)],
)
def test_the_server_gives_up_a_little_earlier(left_s: float, limit_ms: int | None) -> None:
    """By a tenth, a tenth of a second at most; never 0, which would mean no limit at all."""
    assert server_limit_ms(Deadline(left_s, clock=lambda: 0.0)) == limit_ms
    assert MARGIN_MS == 100


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("call p()", True),
        ("CALL p()", True),
        ("  -- why\n /* because\n */ do $$begin end$$", True),
        ("document", False),
        ("select call", False),
        ("--call\nselect 1", False),
        ("", False),
    ],
)
def test_what_may_end_transactions_by_itself(statement: str, *, expected: bool) -> None:
    """CALL and DO, whatever comments come first."""
    assert may_commit(statement) is expected
