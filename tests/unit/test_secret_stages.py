"""Which version of the secret is tried next, as a table."""

from dataclasses import replace

import pytest

from db.clock import DAY_S
from db.credentials.stages import QUESTIONS, SPREAD_S, Ask, Attempt, Known, Stage, Try, lifetime_s, next_step

CURRENT, PENDING, PREVIOUS = Stage.CURRENT, Stage.PENDING, Stage.PREVIOUS
ALL = len(QUESTIONS)


def known(trusted: str | None = None, *, stale: bool = False, asked: int = 0, **stages: str) -> Known:
    """Return what is known after the first `asked` questions."""
    answered = {stage: number for number, stage in enumerate(QUESTIONS[:asked], start=1)}
    return Known(stages={Stage[name]: v for name, v in stages.items()}, answered=answered, trusted=trusted, stale=stale)


def attempt(*tried: str, began: int = 0, refused: int = 0, failed: bool = False) -> Attempt:
    return Attempt(began=began, refused=refused, tried=frozenset(tried), failed=failed)


@pytest.mark.parametrize(
    ("before", "so_far", "step"),
    [
        pytest.param(known(), attempt(), Ask(CURRENT), id="cold: fetch AWSCURRENT"),
        pytest.param(known("v1", CURRENT="v1"), attempt(), Try("v1"), id="warm: no call"),
        pytest.param(known("v1", CURRENT="v1", stale=True), attempt(), Ask(CURRENT), id="old: look again"),
        pytest.param(
            known("v1", CURRENT="v1", stale=True, asked=1),
            attempt(failed=True),
            Try("v1"),
            id="old, and Secrets Manager is away: what is known serves",
        ),
        pytest.param(known("v1", CURRENT="v1"), attempt("v1"), Ask(CURRENT), id="refused: look again"),
        pytest.param(known("v2", CURRENT="v2", asked=1), attempt("v1"), Try("v2"), id="rotated: try it"),
        pytest.param(known("v1", CURRENT="v1", asked=1), attempt("v1"), Ask(PENDING), id="in the window"),
        pytest.param(
            known("v1", CURRENT="v1", PENDING="v2", asked=2),
            attempt("v1"),
            Try("v2"),
            id="in the window: AWSPENDING",
        ),
        pytest.param(
            known("v2", CURRENT="v2", PENDING="v2", asked=2),
            attempt("v2"),
            Ask(CURRENT),
            id="AWSPENDING left on the current version is not tried twice",
        ),
        pytest.param(
            known("v2", CURRENT="v2", asked=3), attempt("v1"), Try("v2"), id="the rotation ended between two questions"
        ),
        pytest.param(known("v1", CURRENT="v1", asked=3), attempt("v1"), Ask(PREVIOUS), id="no rotation: a replica?"),
        pytest.param(
            known("v2", CURRENT="v2", PREVIOUS="v1", asked=ALL), attempt("v2"), Try("v1"), id="a replica that lags"
        ),
        pytest.param(
            known("v1", CURRENT="v2", PREVIOUS="v1", asked=1),
            attempt("v1", failed=True),
            Try("v2"),
            id="the replica caught up while Secrets Manager is away",
        ),
        pytest.param(known("v1", CURRENT="v1", asked=ALL), attempt("v1"), None, id="nothing left"),
        pytest.param(known("v1", CURRENT="v1", asked=1), attempt("v1", failed=True), None, id="away: give up"),
        pytest.param(known(asked=1), attempt(failed=True), None, id="cold, and away"),
    ],
)
def test_the_next_step(before: Known, so_far: Attempt, step: Try | Ask | None) -> None:
    """The version that worked, then AWSCURRENT, AWSPENDING, AWSPREVIOUS as they are now."""
    assert next_step(before, so_far) == step


@pytest.mark.parametrize(
    ("before", "so_far", "step"),
    [
        pytest.param(
            known("v1", CURRENT="v1", PENDING="v1", asked=1),
            attempt("v1", refused=1),
            Ask(PENDING),
            id="AWSCURRENT may be older than the refusal: it is asked for again",
        ),
        pytest.param(
            known("v1", CURRENT="v1", PENDING="v2", asked=2),
            attempt("v1", refused=2),
            Try("v2"),
            id="what another one was told is tried",
        ),
        pytest.param(
            known("v1", CURRENT="v1", asked=2),
            attempt("v1", refused=2),
            Ask(PENDING),
            id="it was told nothing, before the refusal: ask again",
        ),
        pytest.param(
            known("v1", CURRENT="v1", PENDING="v2", asked=2),
            attempt("v1", began=2, refused=2),
            Ask(CURRENT),
            id="what was said before this connect counts for nothing",
        ),
        pytest.param(
            known("v1", CURRENT="v1", asked=ALL), attempt("v1", refused=1), None, id="another one has asked it all"
        ),
    ],
)
def test_the_next_step_where_others_ask_too(before: Known, so_far: Attempt, step: Try | Ask | None) -> None:
    """Nothing is asked again for what is known already, and nothing is missed that has changed since."""
    assert next_step(before, so_far) == step


@pytest.mark.parametrize("trusted", [None, "v1", "v2", "v3"])
@pytest.mark.parametrize("stale", [False, True])
def test_no_version_is_tried_twice_and_no_question_asked_twice(trusted: str | None, *, stale: bool) -> None:
    """However wrong everything is, a connect ends: at most four calls and one login a version."""
    so_far, asked, tried = Attempt(), 0, list[str]()
    state = known(trusted, stale=stale, CURRENT="v1", PENDING="v2", PREVIOUS="v1")
    while step := next_step(replace(state, answered=known(asked=asked).answered), so_far):
        if isinstance(step, Try):
            tried.append(step.version)
            so_far = so_far.after_refusal(step.version, asked)
        else:
            assert step.stage is QUESTIONS[asked]
            asked += 1
    assert len(tried) == len(set(tried))
    assert asked == ALL == 4
    assert so_far.tried >= {"v1", "v2"}


@pytest.mark.parametrize(
    ("rotates_in_s", "jitter", "expected_s"),
    [
        (None, 0.0, 3600.0),
        (None, 1.0, 2880.0),
        (DAY_S, 0.0, DAY_S),
        (DAY_S, 1.0, DAY_S + SPREAD_S),
        (-1.0, 0.0, 3600.0),
    ],
)
def test_a_version_is_kept_until_its_rotation_or_its_greatest_age(
    rotates_in_s: float | None, jitter: float, expected_s: float
) -> None:
    """The date of the next rotation counts where it is known and lies ahead; jitter spreads a fleet."""
    assert lifetime_s(max_age_s=3600, rotates_in_s=rotates_in_s, jitter=jitter) == expected_s
