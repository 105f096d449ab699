"""What BEGIN says, and which statements end transactions by themselves: tables."""

import pytest

from db.protocol.riders import TransactionModes, may_commit

PLAIN = TransactionModes()


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
