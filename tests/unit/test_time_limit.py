"""What the server is told of the time that is left, and when nothing need be said."""

import math

import pytest

from db.deadline import UNBOUNDED, Deadline
from db.protocol.time_limit import TimeLimit, limit_ms

BEGUN_WITH_MS = 4850


def left(seconds: float) -> Deadline:
    return Deadline(seconds, clock=lambda: 0.0)


def of_our_session() -> TimeLimit:
    limit = TimeLimit()
    limit.begin_with(BEGUN_WITH_MS)
    return limit


@pytest.mark.parametrize(
    ("left_s", "expected"),
    [(5.0, 4850), (1.0, 970), (0.001, 1), (0.0, 1), (3_000_000.0, 0), (math.inf, 0)],
)
def test_the_server_gives_up_a_little_earlier(left_s: float, expected: int) -> None:
    """By three in a hundred; 0, no limit, only where there is none."""
    assert limit_ms(left(left_s)) == expected


@pytest.mark.parametrize(
    ("left_s", "said"),
    [(5.0, []), (5.1, []), (4.9, []), (4.8, [4656]), (5.2, [5044]), (1.0, [970]), (60.0, [58200]), (math.inf, [0])],
)
def test_a_session_of_ours_is_told_only_what_does_not_fit(left_s: float, said: list[int]) -> None:
    """Never longer than what is left, nor much shorter; in front of a transaction and of a statement alone."""
    expected = [f"set statement_timeout = {milliseconds}" for milliseconds in said]
    assert of_our_session().in_front_of_transaction(left(left_s)) == expected
    assert of_our_session().in_front_of_statement(left(left_s)) == expected


def test_what_was_committed_holds_and_what_was_rolled_back_does_not() -> None:
    """As PostgreSQL does with a SET."""
    limit = of_our_session()
    assert limit.in_front_of_transaction(left(1))
    limit.rolled_back()
    assert limit.in_front_of_transaction(left(1))
    limit.committed()
    assert not limit.in_front_of_transaction(left(1))
    limit.reset()
    assert not limit.in_front_of_transaction(left(5))


def test_nothing_is_known_after_a_transaction_that_a_statement_ended() -> None:
    """COMMIT or ROLLBACK as text: whichever it was, the next statement is told again."""
    limit = of_our_session()
    assert limit.in_front_of_transaction(left(1))
    assert limit.in_front_of_transaction(left(1))
    assert limit.in_front_of_statement(left(5))


def test_a_transaction_is_told_once_of_each_deadline() -> None:
    """A later statement says nothing, unless the deadline has become another one."""
    limit, deadline = of_our_session(), left(5)
    limit.in_front_of_transaction(deadline)
    limit.limits(deadline)
    assert limit.in_transaction(deadline) == []
    assert limit.in_transaction(left(1)) == ["set local statement_timeout = 970"]
    assert limit.in_transaction(UNBOUNDED) == []


def test_a_poolers_session_keeps_nothing() -> None:
    """Each transaction says its own, whatever was said before."""
    limit = TimeLimit()
    for _ in range(2):
        assert limit.in_front_of_transaction(left(5)) == ["set local statement_timeout = 4850"]
        limit.committed()
        assert limit.in_front_of_statement(left(5)) == ["select set_config('statement_timeout', '4850', true)"]
    assert limit.in_front_of_transaction(UNBOUNDED) == limit.in_front_of_statement(UNBOUNDED) == []
