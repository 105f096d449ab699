"""When an environment looks at the server again, and what it makes of what it saw."""

from typing import Any

import pytest

from db import DatabaseSettings
from db.fleet.lookout import LOOK_EVERY_S, TERMS_LAST_S, Lookout


class Clock:
    """Goes on when told to."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lookout(clock: Clock) -> Lookout:
    return Lookout(DatabaseSettings(url="postgres://app@localhost/app", lease_s=2.0, fleet_slots=50), clock)


def row(used: int, sessions: int = 0, lease_ms: int = 2_000, worked_ms: float = 0.0) -> list[Any]:
    """What the statement brings, as text, numbers or NULL: 40 slots on the server, no other limit."""
    return [used, "40", used, None, used, None, sessions, "16384", "10", 0, "0", worked_ms, str(lease_ms), "2s"]


def test_the_server_is_counted_at_most_once_a_second(lookout: Lookout, clock: Clock) -> None:
    """However many flights there are; frozen time counts, for the clock counts it."""
    assert lookout.look() is not None
    assert lookout.look() is None
    clock.now += LOOK_EVERY_S * 0.9
    assert lookout.look() is None
    clock.now += LOOK_EVERY_S * 0.2
    assert lookout.look() is not None


def test_limits_are_asked_for_once_a_minute_and_written_into_the_statement_in_between(
    lookout: Lookout, clock: Clock
) -> None:
    """A limit that an administrator changes is believed within a minute."""
    assert "from pg_roles" in str(lookout.look())
    lookout.saw(row(1))
    clock.now += 2
    statement = str(lookout.look())
    assert "from pg_roles" not in statement
    assert "= 16384" in statement
    clock.now += TERMS_LAST_S
    assert "from pg_roles" in str(lookout.look())


def test_the_lease_and_the_newcomers_follow_from_what_was_seen(lookout: Lookout, clock: Clock) -> None:
    """The lease is the one that the server has granted. Thirty sessions in two seconds, ten our own: ten come."""
    assert lookout.saw(row(10, sessions=100, lease_ms=300_000)) == 300
    assert lookout.newcomers_per_s is None
    clock.now += 2
    for _ in range(10):
        lookout.began_session()
    assert lookout.saw(row(30, sessions=130)) == 2
    assert lookout.newcomers_per_s == 10


def test_the_statement_is_told_what_the_last_look_saw(lookout: Lookout, clock: Clock) -> None:
    """So that the server can say in the same breath how many have been at work since then."""
    assert "null) as at_work" in str(lookout.look())
    lookout.saw(row(1, worked_ms=7_500))
    clock.now += 4
    assert "(worked_ms / 1000 - 7.5) / 4.0) as at_work" in str(lookout.look())


def test_a_new_connection_begins_with_the_lease_of_a_fresh_sample_and_else_with_the_shortest(
    lookout: Lookout, clock: Clock
) -> None:
    """Who has not looked for a while does not know whether there is room."""
    assert lookout.first_lease_s() == 2
    lookout.saw(row(1))
    assert lookout.first_lease_s() == 300
    clock.now += LOOK_EVERY_S
    assert lookout.first_lease_s() == 2


def test_where_all_fit_connections_are_kept_while_four_fifths_of_the_slots_idle(clock: Clock) -> None:
    """Both the server, in the next statement, and a new connection's first lease go by the size of the fleet."""
    settings = DatabaseSettings(url="postgres://app@localhost/app", lease_s=2.0, fleet_environments=40)
    lookout = Lookout(settings, clock)
    assert "when 40::int <= free + role_used" in str(lookout.look())
    lookout.saw(row(32))
    assert lookout.first_lease_s() == 300
    lookout.saw(row(33))
    assert lookout.first_lease_s() == 2


def test_a_session_that_was_refused_late_is_not_our_own(lookout: Lookout, clock: Clock) -> None:
    """The server has never counted it, so it is not taken off either."""
    lookout.saw(row(10, sessions=100))
    clock.now += 2
    lookout.began_session()
    lookout.missed_session()
    lookout.saw(row(10, sessions=104))
    assert lookout.newcomers_per_s == 2


def test_a_new_connection_begins_with_a_short_lease_where_much_work_goes_on(lookout: Lookout, clock: Clock) -> None:
    """Forty at work on average: the slots that are free would not do for all of them."""
    lookout.saw(row(1))
    clock.now += 1
    lookout.saw(row(1, worked_ms=40_000))
    assert lookout.first_lease_s() == 2
