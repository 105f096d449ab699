"""Which version of a secret logs in, and when there is another to try."""

from itertools import islice

from db.credentials.stages import Stage
from db.deadline import UNBOUNDED
from tests.unit.played import Played, credentials, version, versions


def test_a_secret_is_fetched_once_for_all_connects() -> None:
    """A thousand connects of a process cost one call."""
    source = Played(CURRENT=version("v1"))
    who = credentials(source)
    for _ in range(1000):
        assert versions(who, "v1") == ["v1"]
    assert source.asked == [(Stage.CURRENT, False)]


def test_a_refused_version_is_fetched_anew_past_every_cache() -> None:
    """After a rotation the second login has the new version, even with a stale cache on the way."""
    source = Played(CURRENT=version("v1"))
    who = credentials(source)
    versions(who, "v1")
    source.stages = {"CURRENT": version("v2"), "PREVIOUS": version("v1")}
    assert versions(who, "v2") == ["v1", "v2"]
    assert versions(who, "v2") == ["v2"]
    assert source.asked == [(Stage.CURRENT, False), (Stage.CURRENT, True)]


def test_the_version_that_worked_is_remembered() -> None:
    """In the window of a rotation AWSPENDING is found once, and serves on without a call when it becomes current."""
    source = Played(CURRENT=version("v1"), PENDING=version("v2"))
    who = credentials(source)
    assert versions(who, "v2") == ["v1", "v2"]
    source.stages = {"CURRENT": version("v2"), "PREVIOUS": version("v1")}
    assert versions(who, "v2") == ["v2"]
    assert [stage for stage, _ in source.asked] == [Stage.CURRENT, Stage.PENDING]


def test_alternating_users_change_the_user_name() -> None:
    """The login that follows a rotation is another user's."""
    source = Played(CURRENT=version("v1"))
    who = credentials(source)
    assert [login.user for login in who.logins(UNBOUNDED)] == ["app_v1"]
    source.stages["CURRENT"] = version("v2", username="app_clone")
    assert [login.user for login in islice(who.logins(UNBOUNDED), 2)] == ["app_v1", "app_clone"]


def test_a_lagging_replica_is_served_with_the_previous_version_and_then_the_current() -> None:
    """Going back and forth between two versions costs no login but the refused one."""
    source = Played(CURRENT=version("v2"), PREVIOUS=version("v1"))
    who = credentials(source)
    assert versions(who, "v1") == ["v2", "v1"]
    assert versions(who, "v1") == ["v1"]
    assert versions(who, "v2") == ["v1", "v2"]
