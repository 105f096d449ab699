"""The fleet's policy as tables: how long an environment waits for a slot, and how often it asks."""

import itertools
import math

import pytest

from db.fleet.policy import FIRST_PATIENCE, LONGEST_PAUSE_S, PATIENCE_IS_BACK_AFTER_S, next_wait_s, patience_s, pause_s


def test_a_wait_is_drawn_from_a_fifth_to_all_of_a_cap_that_shrinks() -> None:
    """All draws are spread over the whole range, which shrinks with the time left down to a floor."""
    caps = [next_wait_s(left_s, 1.0) for left_s in (9.0, 2.0, 1.0, 0.01)]
    assert caps == [1.0, 1.0, 0.5, 0.3]
    assert [next_wait_s(2.0, draw) for draw in (0.0, 0.5)] == pytest.approx([0.2, 0.6])


def test_who_waits_longer_asks_more_often_and_all_ask_a_bounded_number_of_times() -> None:
    """With mean draws the waits fall, and three seconds of patience are a dozen attempts, not thousands."""
    left_s, waits = 3.0, list[float]()
    while left_s > 0:
        waits.append(next_wait_s(left_s, 0.5))
        left_s -= waits[-1]
    assert all(later <= earlier for earlier, later in itertools.pairwise(waits))
    assert len(waits) < 15


def test_patience_is_lost_with_a_wait_in_vain_and_grows_back() -> None:
    """Under overload nobody waits for what does not come; nothing but time is needed for it to be whole again."""
    back_s = PATIENCE_IS_BACK_AFTER_S
    assert [patience_s(4.0, since_s) for since_s in (0, back_s / 4, back_s, math.inf)] == [0.0, 1.0, 4.0, 4.0]


def test_an_environment_is_most_patient_for_its_first_slot() -> None:
    """It comes with a crowd that has just begun, for which the others give their slots back as they come round."""
    assert patience_s(1.0, math.inf, is_first=True) == FIRST_PATIENCE > 1


def test_after_a_wait_in_vain_nothing_is_attempted_for_a_moment() -> None:
    """Those who were refused together do not come back together."""
    assert [pause_s(draw) for draw in (0.0, 0.5, 1.0)] == [0.0, LONGEST_PAUSE_S / 2, LONGEST_PAUSE_S]
    assert LONGEST_PAUSE_S < 1
