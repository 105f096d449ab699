"""The fleet benchmark's short version: real environments against a real server, by count and not by time."""

import pytest

from bench.fleet.measuring import Run, measure
from bench.fleet.scenarios import OURS, Scenario, spike
from bench.fleet.service import Answer
from bench.fleet.trace import Phase

SLOTS = 12


def run(scenario: Scenario) -> Run:
    return measure(scenario, OURS, lambda _seconds: None)


@pytest.fixture(scope="module")
def crowd() -> Run:
    """Four times more environments than slots, most of them in a spike."""
    return run(
        Scenario(
            name="crowd",
            title="more environments than slots",
            phases=spike(2, 5, calm_per_s=1),
            slots=SLOTS,
            work_s=0.1,
            rest_s=4.0,
            max_environments=70,
            timeout_s=20,
        )
    )


def test_more_environments_than_slots_are_all_answered(crowd: Run) -> None:
    """Row 26: there were far more than slots, each had its connection in turn, and no request failed."""
    assert sum(answer.cold for answer in crowd.answers) > 2.5 * SLOTS
    assert [answer.failure for answer in crowd.answers] == [None] * len(crowd.answers)


def test_the_fleet_never_has_more_connections_than_slots(crowd: Run) -> None:
    """Row 26: looked at ten times a second."""
    assert len(crowd.seen) > 20
    assert max(seen.active + seen.idle for seen in crowd.seen) <= SLOTS


def test_an_administrator_can_log_in_at_any_time(crowd: Run) -> None:
    """Row 26: tried twice a second."""
    assert set(crowd.logins) == {"let in"}
    assert crowd.logins["let in"] > 5


def test_fewer_environments_than_slots_open_one_connection_each() -> None:
    """More than half as many as slots, all in use: no connection but the first, however often they are invoked."""
    slots = 3 * SLOTS
    busy = run(
        Scenario(
            name="fewer",
            title="fewer environments than slots",
            phases=(Phase(3, 4), Phase(8, 8)),
            slots=slots,
            work_s=0.2,
            rest_s=1.2,
            max_environments=2 * SLOTS,
            seed=38,  # 22 at once at most, in the time that the work itself takes
        )
    )
    served = [answer for answer in busy.answers if answer.failure != "throttled"]
    environments = sum(answer.cold for answer in served)
    assert slots / 2 < environments < slots
    assert len(served) > 2 * environments
    assert [answer.failure for answer in served] == [None] * len(served)
    assert sum(answer.connects for answer in served) == environments
    assert sum(answer.attempts for answer in served) == environments


@pytest.fixture(scope="module")
def overload() -> Run:
    """Half as many requests again as the slots can serve."""
    slots, work_s = 8, 0.5
    return run(
        Scenario(
            name="overload",
            title="more than the slots can serve",
            phases=(Phase(2, 4), Phase(10, 1.5 * slots / work_s), Phase(10, 4)),
            slots=slots,
            headroom=60,
            work_s=work_s,
            rest_s=0.3,
            max_environments=60,
            timeout_s=20,
            seed=2,
        )
    )


@pytest.fixture(scope="module")
def judged(overload: Run) -> list[Answer]:
    """The answers of environments: where a slow machine keeps all of them busy, there is none for some requests."""
    served = [answer for answer in overload.answers if answer.failure != "throttled"]
    assert len(served) > 0.7 * len(overload.answers)
    return served


def test_under_overload_the_excess_is_refused_and_costs_the_server_few_attempts(judged: list[Answer]) -> None:
    """About as many are answered as the slots can serve, the others refused as saturated, all with few attempts.

    Counted in six runs: 1.8 to 2.2 for each request that attempted at all; fewer where the machine is slow.
    """
    answered = [answer for answer in judged if answer.failure is None]
    attempts = [answer.attempts for answer in judged if answer.attempts]
    assert {answer.failure for answer in judged} == {None, "SaturatedError"}
    assert len(answered) > 0.45 * len(judged)
    assert sum(attempts) < 3 * len(attempts)


def test_under_overload_most_of_the_excess_is_refused_without_an_attempt(judged: list[Answer]) -> None:
    """At once, by an environment that knows; and when it is over, it is over."""
    refused = [answer for answer in judged if answer.failure is not None]
    assert sum(answer.attempts == 0 for answer in refused) > len(refused) / 2
    assert max(answer.at_s for answer in refused) < 18


def test_under_overload_an_administrator_is_let_in(overload: Run) -> None:
    """Who is refused has a process of the server's too, for some milliseconds: in the headroom of the role's limit."""
    assert set(overload.logins) == {"let in"}
    assert overload.logins["let in"] > 5
