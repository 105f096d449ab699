"""What the policy reaches with fleets of many sizes, on a simulated clock."""

from functools import cache

import pytest

from bench.fleet.scenarios import Scenario, spike
from bench.fleet.simulated import Counts
from bench.fleet.simulation import Simulation
from bench.fleet.trace import Phase


@cache
def crowd(slots: int, times: int, seed: int) -> Counts:
    """Return what becomes of a spike in which about `times` as many environments as slots are busy.

    Two in five slots would be enough for all transactions.
    """
    per_s = slots
    scenario = Scenario(
        name="crowd",
        title="",
        phases=spike(10, 30, calm_per_s=per_s / 10),
        slots=slots,
        work_s=0.4,
        rest_s=times * slots / per_s - 0.4,
        seed=seed,
    )
    return Simulation(scenario).run()


CROWDS = [(slots, times, seed) for slots in (40, 400) for times in (3, 6, 10) for seed in (1, 2, 3)]


@pytest.mark.parametrize(("slots", "times", "seed"), CROWDS)
def test_many_times_more_environments_than_slots_are_all_answered(slots: int, times: int, seed: int) -> None:
    """Every request, at most 1.05 attempts to connect for each answer, and 99 % within a second of the ideal."""
    counts = crowd(slots, times, seed)
    assert counts.environments > 0.9 * times * slots
    assert counts.refused == 0
    assert counts.attempts <= 1.05 * counts.answered
    assert counts.waited_at_most(1.0) > 0.99
    assert counts.peak <= slots


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("seconds_between", [0.5, 1.0, 2.5])
def test_few_environments_open_one_connection_each(seconds_between: float, seed: int) -> None:
    """Fewer than a quarter as many as slots, idle for less than the five minutes of their lease: but the first one."""
    scenario = Scenario(
        name="few",
        title="",
        phases=(Phase(100 * seconds_between, 3 / seconds_between),),
        work_s=0.05 * seconds_between,
        rest_s=0.1 * seconds_between,
        seed=seed,
    )
    counts = Simulation(scenario).run()
    assert counts.environments < 10
    assert counts.answered > 250
    assert counts.attempts == counts.connects == counts.environments


@pytest.mark.parametrize("seed", range(1, 6))
def test_more_than_half_as_many_environments_as_slots_open_one_connection_each(seed: int) -> None:
    """Where they are used again all the time; one or two lose theirs in a lull."""
    scenario = Scenario(name="more", title="", phases=(Phase(60, 9),), work_s=0.4, rest_s=1.0, seed=seed)
    counts = Simulation(scenario).run()
    assert counts.environments > 20
    assert counts.connects <= counts.environments + 2
    assert counts.attempts == counts.connects


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_deployment_is_served_at_once(seed: int) -> None:
    """Twice as many old environments as slots fall asleep with what they hold; the new ones wait for none of it."""
    scenario = Scenario(
        name="deployment",
        title="",
        phases=(Phase(60, 30),),
        work_s=0.4,
        rest_s=2.0,
        deploy_at_s=30.0,
        seed=seed,
    )
    counts = Simulation(scenario).run()
    assert counts.environments > 150
    assert counts.refused == 0
    assert counts.waited_at_most(1.0) > 0.99
    assert counts.attempts <= 1.05 * counts.answered


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("times", "most_attempts"), [(1.5, 2.4), (3, 3.3), (6, 4)])
def test_what_is_more_than_the_slots_can_do_is_refused_quickly(times: float, most_attempts: float, seed: int) -> None:
    """The rest is served in good time: nearly as much as the slots can do, and few attempts for each answer."""
    slots, work_s, seconds = 12, 0.4, 40
    most_per_s = slots / work_s
    scenario = Scenario(
        name="overload",
        title="",
        phases=(Phase(seconds, times * most_per_s),),
        slots=slots,
        work_s=work_s,
        rest_s=0.5,
        seed=seed,
    )
    counts = Simulation(scenario).run()
    assert counts.answered > 0.85 * seconds * most_per_s
    assert counts.waited_at_most(1.05) > 0.999 * counts.answered / (counts.answered + counts.refused)
    assert counts.attempts < most_attempts * counts.answered
    assert counts.peak <= slots
    assert counts.refused_unasked > 0.6 * counts.refused


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_overload_is_over_when_it_is_over(seed: int) -> None:
    """A second after the last request too many nobody is refused."""
    scenario = Scenario(
        name="overload", title="", phases=(Phase(20, 90), Phase(20, 15)), slots=12, work_s=0.4, rest_s=0.5, seed=seed
    )
    counts = Simulation(scenario).run()
    assert counts.refused > 500
    assert counts.last_refusal_at_s < 21
