"""How long a secret is kept before it is looked at again, and what is with connections that it made."""

import pytest

from db import SecretCredentials, SecretError
from db.credentials.secret import SPARED_S
from db.credentials.sources import Answer
from db.credentials.stages import RETRY_S
from db.deadline import UNBOUNDED
from tests.unit.played import Played, Time, credentials, version, versions


def test_an_old_version_is_looked_at_again_and_the_new_one_used() -> None:
    """Alternating users never refuse the old login: age is what finds the new one."""
    time, source = Time(), Played(CURRENT=version("v1"))
    who = credentials(source, time)
    versions(who, "v1")
    source.stages["CURRENT"] = version("v2")
    time.now += 2000
    assert versions(who, "v1") == ["v1"]
    time.now += 1600
    assert versions(who, "v2") == ["v2"]


def test_the_date_of_the_next_rotation_decides_where_it_is_known() -> None:
    """A version made today under a 30-day rotation is kept for 30 days, not for an hour."""
    time = Time()
    made = Answer(version="v1", text=version("v1").text, created_at=time.now - 86400)
    source = Played(CURRENT=made)
    who = credentials(source, time, rotation_days=30)
    versions(who, "v1")
    time.now += 28 * 86400
    versions(who, "v1")
    assert len(source.asked) == 1
    time.now += 2 * 86400
    versions(who, "v1")
    assert len(source.asked) == 2


def test_a_connection_expires_with_its_version_or_its_age() -> None:
    """What logged in with an older version, or so long ago that the secret must be looked at, ends when returned."""
    time, source = Time(), Played(CURRENT=version("v1"))
    who = credentials(source, time)
    versions(who, "v1")
    assert not who.has_expired("v1")
    assert who.has_expired("v0")
    time.now += 3600
    assert who.has_expired("v1")


def test_an_outage_ends_connections_by_age_now_and_then_only() -> None:
    """A short one must not keep the old version for good; in a long one a connection is risked each five minutes."""
    time, source = Time(), Played(CURRENT=version("v1"))
    who = credentials(source, time)
    versions(who, "v1")
    for _ in range(2):
        time.now += 3600
        source.stages["CURRENT"] = SecretError("away")
        assert versions(who, "v1") == ["v1"]
        time.now += SPARED_S - 1
        assert not who.has_expired("v1")
        time.now += 1
        assert who.has_expired("v1")
    source.stages["CURRENT"] = version("v2")
    assert versions(who, "v2") == ["v2"]
    assert who.has_expired("v1")
    assert not who.has_expired("v2")


def test_frozen_time_makes_a_secret_old(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment that was frozen for an hour looks at the secret again."""
    frozen, source = Time(), Played(CURRENT=version("v1"))
    monkeypatch.setattr("db.credentials.secret.FrozenTimeClock", lambda: frozen)
    who = SecretCredentials("app/db", source, {}, max_age_s=3600)
    versions(who, "v1")
    frozen.now += 3600
    versions(who, "v1")
    assert len(source.asked) == 2


def test_a_fleet_does_not_ask_all_at_once() -> None:
    """Of many environments that began together some look again at nine tenths of the secret's age, and some do not."""
    time = Time()
    sources = [Played(CURRENT=version("v1")) for _ in range(64)]
    fleet = [credentials(source, time) for source in sources]
    for who in fleet:
        versions(who, "v1")
    time.now += 3600 * 0.9
    for who in fleet:
        versions(who, "v1")
    assert {len(source.asked) for source in sources} == {1, 2}


def test_a_server_that_is_missed_ends_no_connection() -> None:
    """The next connect looks at the secret; connections that are there go on."""
    time, source = Time(), Played(CURRENT=version("v1"))
    who = credentials(source, time)
    login = next(who.logins(UNBOUNDED))
    who.failed(login)
    time.now += RETRY_S
    assert not who.has_expired("v1")
    versions(who, "v1")
    assert len(source.asked) == 2
