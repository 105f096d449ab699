"""The fleet's policy as tables: what each environment decides from what it has seen."""

import itertools

import pytest

from db.fleet.policy import (
    LEASES,
    Limit,
    Sample,
    Verdict,
    View,
    keep_or_release,
    lease_s,
    newcomers_per_s,
    next_wait_s,
    outlived,
    patience_s,
    slots_for_newcomers,
)


def sample(used: int, slots: int = 40, *others: Limit, seen_at: float = 100.0, sessions: int = 0) -> Sample:
    return Sample(seen_at, (Limit(used, slots), *others), sessions)


@pytest.mark.parametrize(
    ("view", "verdict"),
    [
        pytest.param(View(now=100), Verdict.KEEP, id="nothing seen yet"),
        pytest.param(View(now=100, sample=sample(20)), Verdict.KEEP, id="newcomers unknown, half is free"),
        pytest.param(View(now=100, sample=sample(21)), Verdict.RELEASE_PRESSURE, id="newcomers unknown, less is free"),
        pytest.param(View(now=100, sample=sample(40), newcomers_per_s=0), Verdict.KEEP, id="full, but nobody comes"),
        pytest.param(
            View(now=100, sample=sample(38), newcomers_per_s=25, held_s=0.01), Verdict.KEEP, id="few come: 2 are enough"
        ),
        pytest.param(
            View(now=100, sample=sample(33), newcomers_per_s=100, held_s=0.04),
            Verdict.RELEASE_PRESSURE,
            id="many come: 8 are needed",
        ),
        pytest.param(
            View(now=100, sample=sample(1), refused_at=98.5), Verdict.RELEASE_REFUSED, id="refused a moment ago"
        ),
        pytest.param(View(now=100, sample=sample(1), refused_at=97), Verdict.KEEP, id="refused long ago"),
        pytest.param(View(now=100, sample=sample(1), idle_s=9, leased_s=10), Verdict.KEEP, id="soon used again"),
        pytest.param(
            View(now=100, sample=sample(1), idle_s=11, leased_s=10), Verdict.RELEASE_UNUSED, id="not used in time"
        ),
        pytest.param(
            View(now=100, sample=sample(10, 40, Limit(10, 12))), Verdict.RELEASE_PRESSURE, id="the role's own limit"
        ),
        pytest.param(View(now=100, sample=sample(3, 0)), Verdict.KEEP, id="no slot for this role at all"),
    ],
)
def test_a_slot_is_given_back_when_others_need_it_and_only_then(view: View, verdict: Verdict) -> None:
    """Warm while what is free is enough for newcomers, and while the connection will be used before its lease ends."""
    assert keep_or_release(view) is verdict


def test_more_newcomers_never_need_fewer_slots() -> None:
    """What must stay free grows with the rate of newcomers, slower than they do; nobody who comes needs nothing."""
    limit = Limit(0, 100)
    rates = (0, 1, 10, 100, 1_000)
    needs = [slots_for_newcomers(limit, View(now=0, newcomers_per_s=rate, held_s=0.05)) for rate in rates]
    assert needs == sorted(needs)
    assert needs[0] == 0
    assert needs[-1] < 10 * needs[-2]
    assert slots_for_newcomers(limit, View(now=0)) == 50


def test_what_a_sleeping_fleet_holds_back_is_bounded() -> None:
    """A quarter of the slots at most idles for more than 30 s, half for more than 2 s, with leases from 2 s."""
    shares = [n / 100 for n in range(120)]
    leases = [lease_s(share, 2.0) for share in shares]
    assert leases == sorted(leases, reverse=True)
    assert max(share for share, lease in zip(shares, leases, strict=True) if lease > 30) == 0.25
    assert max(share for share, lease in zip(shares, leases, strict=True) if lease > 2) == 0.5
    assert {lease_s(share, 4.0) / lease_s(share, 2.0) for share in shares} == {2.0}
    assert len(set(leases)) == len(LEASES)


@pytest.mark.parametrize(
    ("idle_s", "leased_s", "gone"),
    [
        (0, 2, False),
        (1.4, 2, False),
        (1.5, 2, True),
        (600, 2, True),
        (298, 300, False),
        (299, 300, True),
        (9e9, 0, False),
    ],
)
def test_a_connection_is_not_trusted_just_before_its_lease_ends(idle_s: float, leased_s: float, gone: bool) -> None:  # noqa: FBT001 - a table's column
    """What is sent before the lease ends must also arrive before; without a lease age does not matter."""
    assert outlived(idle_s, leased_s) is gone


@pytest.mark.parametrize(
    ("before", "after", "own", "rate"),
    [
        pytest.param(None, sample(1), 0, None, id="first sample"),
        pytest.param(sample(1, seen_at=98, sessions=10), sample(1, sessions=30), 0, 10.0, id="ten a second"),
        pytest.param(sample(1, seen_at=98, sessions=10), sample(1, sessions=30), 4, 8.0, id="two of them our own"),
        pytest.param(sample(1, seen_at=100), sample(1), 0, None, id="the same moment"),
        pytest.param(sample(1, seen_at=80), sample(1, sessions=5), 0, None, id="too far apart to tell"),
        pytest.param(
            sample(1, seen_at=99, sessions=9), sample(1, sessions=0), 0, 0.0, id="the server forgot its count"
        ),
    ],
)
def test_newcomers_are_counted_between_two_samples(
    before: Sample | None, after: Sample, own: int, rate: float | None
) -> None:
    """The number of sessions ever begun tells how many others come a second, where two samples are close enough."""
    assert newcomers_per_s(before, after, own) == rate


def test_a_wait_is_drawn_from_nothing_to_a_cap_that_shrinks() -> None:
    """All draws are spread over the whole range, which shrinks with the time left down to a floor."""
    caps = [next_wait_s(left_s, 1.0) for left_s in (9.0, 2.0, 1.0, 0.01)]
    assert caps == [1.0, 1.0, 0.5, 0.2]
    assert [next_wait_s(2.0, draw) for draw in (0.0, 0.5)] == [0.0, 0.5]


def test_who_waits_longer_asks_more_often_and_all_ask_a_bounded_number_of_times() -> None:
    """With mean draws the waits fall, and three seconds of patience are a dozen attempts, not thousands."""
    left_s, waits = 3.0, list[float]()
    while left_s > 0:
        waits.append(next_wait_s(left_s, 0.5))
        left_s -= waits[-1]
    assert all(later <= earlier for earlier, later in itertools.pairwise(waits))
    assert len(waits) < 15


def test_patience_halves_with_each_wait_in_vain_and_never_ends() -> None:
    """Under overload the excess is refused after a sixteenth of the patience; somebody always asks."""
    assert [patience_s(4.0, given_up) for given_up in range(6)] == [4.0, 2.0, 1.0, 0.5, 0.25, 0.25]
    assert patience_s(4.0, 1_000) == 0.25
