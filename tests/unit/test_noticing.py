"""The table of how late faults are noticed."""

import pytest

from tests.noticing import ROWS, Noticed


def test_what_is_noticed_a_tenth_too_late_and_more_fails() -> None:
    """A bound has no allowance but the ratio, and what was too late is told too."""
    noticed = Noticed()
    noticed(1, 2.2, 2.0)
    with pytest.raises(AssertionError, match=r"row 1: noticed after 2\.201 s, bound 2\.0 s"):
        noticed(1, 2.201, 2.0)
    assert noticed.worst[1].took_s == 2.201


def test_the_worst_share_of_its_bound_is_kept() -> None:
    """However long the bound was."""
    noticed = Noticed()
    noticed(1, 0.2, 0.2)
    noticed(1, 4.0, 5.0)
    assert noticed.worst[1].bound_s == 0.2


def test_rows_that_nobody_reports_are_known() -> None:
    """All of them at the beginning; a time that was taken inside counts for each row that is named."""
    noticed = Noticed()
    assert noticed.missing == list(ROWS)
    with noticed.within(60.0, *ROWS[1:]):
        pass
    assert noticed.missing == [1]
