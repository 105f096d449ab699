"""The fleet's policy as tables: what each environment decides about its slot from what it has seen."""

from typing import Any

import pytest

from db.fleet.census import Limit, Sample, at_work, newcomers_per_s
from db.fleet.policy import (
    LEASES,
    Verdict,
    View,
    all_fit,
    expects_room,
    keep_or_release,
    lease_s,
    outlived,
    slots_for_all,
    slots_for_newcomers,
)


def sample(used: int, slots: int = 40, *others: Limit, seen_at: float = 100.0, **counted: Any) -> Sample:  # noqa: ANN401 - the fields of Sample
    return Sample(seen_at, (Limit(used, slots), *others), **counted)


@pytest.mark.parametrize(
    ("view", "verdict"),
    [
        pytest.param(View(now=100), Verdict.KEEP, id="nothing seen yet"),
        pytest.param(View(now=100, sample=sample(40)), Verdict.KEEP, id="full at first sight, but nobody is new"),
        pytest.param(View(now=100, sample=sample(28, newcomers=9)), Verdict.KEEP, id="nine are new: 12 are enough"),
        pytest.param(
            View(now=100, sample=sample(29, newcomers=9)), Verdict.RELEASE_PRESSURE, id="nine are new: 11 are not"
        ),
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
            View(now=100, sample=sample(10, 40, Limit(10, 12), newcomers=1)),
            Verdict.RELEASE_PRESSURE,
            id="the role's own limit",
        ),
        pytest.param(View(now=100, sample=sample(3, 0)), Verdict.KEEP, id="no slot for this role at all"),
    ],
)
def test_a_slot_is_given_back_when_others_need_it_and_only_then(view: View, verdict: Verdict) -> None:
    """Warm while what is free is enough for newcomers, and while the connection will be used before its lease ends."""
    assert keep_or_release(view) is verdict


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        pytest.param(View(now=100), True, id="nothing seen yet"),
        pytest.param(View(now=100, sample=sample(39)), True, id="one is free"),
        pytest.param(View(now=100, sample=sample(40)), False, id="none is free"),
        pytest.param(View(now=100, sample=sample(1), refused_at=71), False, id="refused lately"),
        pytest.param(View(now=100, sample=sample(1), refused_at=69), True, id="refused long ago"),
    ],
)
def test_a_slot_is_taken_for_granted_until_one_was_refused(view: View, *, expected: bool) -> None:
    """So that a login which ends late is hardly ever refused late."""
    assert expects_room(view) is expected


def test_more_newcomers_never_need_fewer_slots() -> None:
    """What must stay free grows with the rate of newcomers, slower than they do; nobody who comes needs nothing."""
    rates = (0, 1, 10, 100, 1_000)
    needs = [slots_for_newcomers(sample(0), View(now=0, newcomers_per_s=rate, held_s=0.05)) for rate in rates]
    assert needs == sorted(needs)
    assert needs[0] == 0
    assert needs[-1] < 10 * needs[-2]


def test_newcomers_of_whom_no_rate_is_known_are_those_just_seen() -> None:
    """Who looks for the first time counts connections that were opened a moment ago; a rate, once known, tells more."""
    seen = sample(0, newcomers=4)
    assert slots_for_newcomers(seen, View(now=0)) == 8
    assert slots_for_newcomers(seen, View(now=0, newcomers_per_s=20, held_s=0.05)) == 4


@pytest.mark.parametrize(
    ("used", "reused", "busy", "times"),
    [
        pytest.param(10, 0, None, 150, id="a quarter idles"),
        pytest.param(11, 0, None, 1, id="more than a quarter idles"),
        pytest.param(11, 1, None, 150, id="a quarter idles, and one is used again"),
        pytest.param(21, 11, None, 15, id="more than half is taken, a quarter idles"),
        pytest.param(32, 22, 0.0, 15, id="four fifths are taken, a quarter idles"),
        pytest.param(33, 33, 0.0, 1, id="hardly one is free"),
        pytest.param(32, 22, 4.0, 15, id="the 8 that are free would do for 4 at work"),
        pytest.param(32, 22, 4.1, 1, id="and not for more"),
        pytest.param(20, 20, 13.0, 1, id="nor half of the slots for 13"),
    ],
)
def test_a_lease_is_long_where_a_crowd_or_a_deployment_would_find_slots(
    used: int, reused: int, busy: float | None, times: float
) -> None:
    """Whoever falls asleep with a connection, the next ones are served without it; or it is soon taken back."""
    assert lease_s(sample(used, reused=reused), busy, 2.0) == 2.0 * times


@pytest.mark.parametrize(
    ("used", "of_role", "busy", "times"),
    [
        pytest.param(32, 32, 0.0, 150, id="four fifths idle"),
        pytest.param(33, 33, 0.0, 1, id="more than four fifths idle"),
        pytest.param(32, 32, 4.0, 150, id="the 8 that are free would do for 4 at work"),
        pytest.param(32, 32, 4.1, 1, id="and not for more"),
        pytest.param(32, 31, 0.0, 1, id="another role has a slot, so that one of ours will have none"),
    ],
)
def test_leases_are_long_where_every_environment_that_there_can_be_has_a_slot(
    used: int, of_role: int, busy: float, times: float
) -> None:
    """Nothing is given up for a crowd that cannot come; only the new environments of a deployment must find slots."""
    assert lease_s(sample(used, of_role=of_role), busy, 2.0, 40) == 2.0 * times


@pytest.mark.parametrize(
    ("most", "fit"), [pytest.param(None, False, id="nobody said"), (38, True), pytest.param(39, False, id="one more")]
)
def test_what_others_use_counts_when_all_are_to_fit(most: int | None, fit: bool) -> None:  # noqa: FBT001 - a table's column
    """Of 40 slots two are others': 38 connections fit, by whichever limit is met first."""
    assert all_fit(sample(12, of_role=10), most) is fit
    assert all_fit(sample(12, 100, Limit(10, 38), of_role=10), most) is fit


def test_what_a_sleeping_fleet_holds_back_is_bounded() -> None:
    """Half of the slots at most for more than 30 s, four fifths for more than 2 s, with leases from 2 s."""
    samples = [sample(n, 100, reused=n) for n in range(120)]
    leases = [lease_s(seen, None, 2.0) for seen in samples]
    assert leases == sorted(leases, reverse=True)
    assert max(seen.share for seen, lease in zip(samples, leases, strict=True) if lease > 30) == 0.5
    assert max(seen.share for seen, lease in zip(samples, leases, strict=True) if lease > 2) == 0.8
    assert {lease_s(seen, None, 4.0) / lease_s(seen, None, 2.0) for seen in samples} == {2.0}
    assert len(set(leases)) == len(LEASES)


def test_every_limit_is_kept_in_mind() -> None:
    """The role's own limit counts as the server's does: for what is taken, what idles and what is free."""
    assert lease_s(sample(6, 100, Limit(6, 10), reused=4), None, 2.0) == 30
    assert lease_s(sample(6, 100, Limit(6, 10), reused=3), None, 2.0) == 2
    assert lease_s(sample(6, 100, Limit(6, 10), reused=4), 3.0, 2.0) == 2


@pytest.mark.parametrize(
    ("before", "after", "busy"),
    [
        pytest.param(None, sample(1), None, id="first sample"),
        pytest.param(sample(1, seen_at=90, worked_s=5), sample(1, worked_s=45), 4.0, id="four at a time"),
        pytest.param(sample(1, seen_at=-250, worked_s=5), sample(1, worked_s=45), None, id="too far apart to tell"),
        pytest.param(sample(1, seen_at=90, worked_s=5), sample(1), 0.0, id="the server forgot its count"),
    ],
)
def test_how_many_are_at_work_is_known_from_two_samples(
    before: Sample | None, after: Sample, busy: float | None
) -> None:
    """The time spent in transactions, all sessions together, grows by a second a second for each that is at work."""
    assert at_work(before, after) == busy


def test_more_work_never_needs_fewer_slots() -> None:
    """What would serve everything that goes on is more than the average, by two deviations."""
    needs = [slots_for_all(busy) for busy in (0, 1, 4, 25)]
    assert needs == [0, 3, 8, 35]


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
