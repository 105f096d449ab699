"""The fleet benchmark's short version: real environments against a real server, by count and not by time."""

import pytest

from bench.fleet.measuring import Run, measure
from bench.fleet.scenarios import OURS, Scenario, spike
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


def test_few_environments_open_one_connection_each() -> None:
    """Fewer than half as many as slots: no connection but the first, however often they are invoked."""
    calm = run(
        Scenario(
            name="calm",
            title="fewer environments than slots",
            phases=(Phase(6, 5),),
            slots=3 * SLOTS,
            work_s=0.05,
            rest_s=0.2,
            max_environments=SLOTS,
        )
    )
    assert len(calm.answers) > 15
    environments = sum(answer.cold for answer in calm.answers)
    assert sum(answer.connects for answer in calm.answers) == environments
    assert sum(answer.attempts for answer in calm.answers) == environments
