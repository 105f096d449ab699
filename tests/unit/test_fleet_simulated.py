"""What the policy reaches with fleets of many sizes, on a simulated clock."""

from functools import cache

import pytest

from bench.fleet.scenarios import Scenario, spike
from bench.fleet.simulated import Counts
from bench.fleet.simulation import Simulation
from bench.fleet.trace import Phase


@cache
def crowd(slots: int, times: int, use: float, seed: int) -> Counts:
    """Return what becomes of a spike in which about `times` as many environments as slots are busy.

    A share `use` of the slots would be enough for all transactions, if they came one after the other.
    """
    per_s = slots * use / 0.4
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


CROWDS = [
    *[(40, times, use, seed) for times in (3, 6, 10) for use in (0.4, 0.6, 0.7) for seed in (1, 2, 3)],
    *[(400, times, 0.4, 1) for times in (3, 6, 10)],
]


@pytest.mark.parametrize(("slots", "times", "use", "seed"), CROWDS)
def test_many_times_more_environments_than_slots_are_all_answered(
    slots: int, times: int, use: float, seed: int
) -> None:
    """Every request, at most 1.05 attempts to connect for each answer, and 98 % within a second of the ideal."""
    counts = crowd(slots, times, use, seed)
    assert counts.environments > 0.9 * times * slots
    assert counts.refused == 0
    assert counts.attempts <= 1.05 * counts.answered
    assert counts.waited_at_most(1.0) > 0.98
    assert counts.peak <= slots


@pytest.mark.parametrize("times", [3, 6, 10])
def test_hardly_anybody_is_refused_where_four_fifths_of_the_slots_are_at_work(times: int) -> None:
    """One in two hundred at most, while the spike begins; then nobody."""
    counts = crowd(40, times, 0.8, 1)
    assert counts.refused < counts.answered / 200
    assert counts.last_refusal_at_s < 20


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("rest_s", [0.5, 1.0, 3.0, 5.0, 10.0])
def test_environments_that_all_have_a_slot_open_one_connection_each(rest_s: float, seed: int) -> None:
    """About 25 at 40 slots, where the reserved concurrency says that there can be no more than slots."""
    scenario = Scenario(
        name="all fit",
        title="",
        phases=(Phase(120, 13 / (0.1 + rest_s)),),
        work_s=0.1,
        rest_s=rest_s,
        max_environments=40,
        seed=seed,
    )
    counts = Simulation(scenario).run()
    assert counts.environments > 16
    assert counts.attempts == counts.connects == counts.environments


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    ("work_s", "rest_s", "per_s"), [(0.4, 1.0, 12), (0.4, 5.0, 4), (0.1, 3.0, 7), (0.1, 10.0, 2.5)]
)
def test_a_deployment_of_environments_that_all_have_a_slot_is_served(
    work_s: float, rest_s: float, per_s: float, seed: int
) -> None:
    """The old ones sleep with three quarters of the slots for five minutes; the new ones share what is left."""
    scenario = Scenario(
        name="deployment",
        title="",
        phases=(Phase(80, per_s),),
        work_s=work_s,
        rest_s=rest_s,
        deploy_at_s=40.0,
        max_environments=40,
        seed=seed,
    )
    counts = Simulation(scenario).run()
    assert counts.environments > 50
    assert counts.refused == 0
    assert counts.waited_at_most(1.0) > 0.99


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
    """Where all that there can be have a slot; one or two lose theirs in a lull."""
    scenario = Scenario(
        name="more", title="", phases=(Phase(60, 9),), work_s=0.4, rest_s=1.0, max_environments=40, seed=seed
    )
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
@pytest.mark.parametrize(("times", "most_attempts"), [(1.5, 2.4), (3, 3.3), (6, 5)])
def test_what_is_more_than_the_slots_can_do_is_refused_quickly(times: float, most_attempts: float, seed: int) -> None:
    """The rest is served in good time: nearly as much as the slots can do, and few attempts for each answer.

    Only who comes with the crowd, and waits for his first slot, may have it as late as after three seconds.
    """
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
    answered = counts.answered / (counts.answered + counts.refused)
    assert counts.waited_at_most(1.05) > 0.93 * answered
    assert counts.waited_at_most(3.05) > 0.999 * answered
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
