"""How often a server that refuses every login is asked again."""

import pytest

from db import LoginRefusedError
from db.credentials.refusals import FIRST_PAUSE_S, LONGEST_PAUSE_S, Refusals, pause_s


@pytest.mark.parametrize(
    ("refused", "expected_s"),
    [(1, FIRST_PAUSE_S), (2, 10.0), (3, 20.0), (5, LONGEST_PAUSE_S), (10**6, LONGEST_PAUSE_S)],
)
def test_the_pause_grows_with_each_refusal_up_to_a_minute(refused: int, expected_s: float) -> None:
    """A wrong password that stays wrong is tried about once a minute; jitter takes a fifth at most."""
    assert pause_s(refused, 0.0) == expected_s
    assert pause_s(refused, 1.0) == expected_s * 0.8


def test_nobody_is_asked_while_the_pause_lasts() -> None:
    """In ten minutes of one request a second a wrong password reaches the server no more than 17 times."""
    now = [0.0]
    refusals = Refusals(lambda: now[0])
    asked = 0
    for second in range(600):
        now[0] = float(second)
        try:
            begun = refusals.require_pause_is_over()
        except LoginRefusedError as error:
            assert "not asked again for" in str(error)  # noqa: PT017 - most of the six hundred must raise it
        else:
            asked += 1
            refusals.refused(begun, "no")
    assert 10 <= asked <= 17


def test_a_success_forgets_all_refusals() -> None:
    """The next refusal after a success is the first."""
    now = [0.0]
    refusals = Refusals(lambda: now[0])
    refusals.refused(refusals.require_pause_is_over(), "no")
    refusals.accepted()
    refusals.refused(refusals.require_pause_is_over(), "no")
    now[0] += FIRST_PAUSE_S
    refusals.require_pause_is_over()


@pytest.mark.parametrize("borrows", [1, 2, 10])
def test_what_is_refused_at_once_is_refused_once(borrows: int) -> None:
    """However many borrows meet a wrong password together, the pause after them is the one after one of them."""
    now = [0.0]
    refusals = Refusals(lambda: now[0])
    for begun in [refusals.require_pause_is_over() for _ in range(borrows)]:
        refusals.refused(begun, "no")
    with pytest.raises(LoginRefusedError, match="1 times in a row"):
        refusals.require_pause_is_over()
    now[0] += FIRST_PAUSE_S
    refusals.require_pause_is_over()


def test_a_refusal_that_comes_after_anothers_success_is_none() -> None:
    """A borrow with an outdated login, which takes longer, shuts nobody out: another one has just been let in."""
    refusals = Refusals(lambda: 0.0)
    begun = refusals.require_pause_is_over()
    refusals.accepted()
    refusals.refused(begun, "no")
    refusals.require_pause_is_over()


def test_who_is_not_let_try_learns_why_and_when_to_come_back() -> None:
    """The last refusal's own words, and a Retry-After that is as long as the pause still lasts."""
    now = [0.0]
    refusals = Refusals(lambda: now[0])
    for pause in (FIRST_PAUSE_S, 2 * FIRST_PAUSE_S):
        refused = refusals.refused(refusals.require_pause_is_over(), "app at db.example.com:5432")
        assert str(refused) == "app at db.example.com:5432"
        assert 0.8 * pause <= refused.retry_after_s <= pause
        for _ in range(3):
            with pytest.raises(LoginRefusedError, match="app at db") as raised:
                refusals.require_pause_is_over()
            assert raised.value.retry_after_s == refused.retry_after_s
            now[0] += 1
            refused.retry_after_s -= 1
        now[0] += pause


def test_a_refusal_after_which_nobody_pauses_may_be_repeated_soon() -> None:
    """Where another borrow was let in meanwhile, the client need not stay away."""
    refusals = Refusals(lambda: 0.0)
    begun = refusals.require_pause_is_over()
    refusals.accepted()
    assert refusals.refused(begun, "no").retry_after_s == 1
