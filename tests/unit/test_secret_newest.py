"""Which version of a secret is the newest, where one borrow overtakes another or a cache is behind."""

from collections.abc import Callable
from dataclasses import replace

from db import Deadline, SecretError
from db.credentials.calls import Calls
from db.credentials.sources import Answer
from db.credentials.stages import Stage
from db.deadline import UNBOUNDED
from tests.unit.played import Played, Time, credentials, version, versions


def test_a_login_that_others_have_overtaken_is_not_begun_with_again() -> None:
    """One borrow logs in with the old version, slowly, while another one finds the new: that stays the newest."""
    source = Played(CURRENT=version("v1"))
    who = credentials(source)
    slow = next(who.logins(UNBOUNDED))
    source.stages = {"CURRENT": version("v2"), "PREVIOUS": version("v1")}
    assert versions(who, "v2") == ["v1", "v2"]
    who.accepted(slow)
    assert versions(who, "v2") == ["v2"]
    assert not who.has_expired("v2")
    assert who.has_expired("v1")


def test_a_user_that_still_serves_does_not_hide_its_successor() -> None:
    """Two users in turn: a borrow that began with the old one ends after the secret was looked at again."""
    time, source = Time(), Played(CURRENT=version("v1"))
    who = credentials(source, time)
    slow = next(who.logins(UNBOUNDED))
    source.stages["CURRENT"] = version("v2")
    time.now += 3600
    new = next(who.logins(UNBOUNDED))
    who.accepted(new)
    who.accepted(slow)
    assert versions(who, "v2") == ["v2"]


def test_a_version_that_is_found_after_a_refusal_is_begun_with_whatever_was_said_meanwhile() -> None:
    """What the server says counts for more than what another borrow has read since, as long as nobody was let in."""
    source = Played(CURRENT=version("v2"), PREVIOUS=version("v1"))
    who = credentials(source)
    logins = who.logins(UNBOUNDED)
    refused, found = next(logins), next(logins)
    assert [refused.version, found.version] == ["v2", "v1"]
    assert next(who.logins(UNBOUNDED)).version == "v2"
    who.accepted(found)
    assert versions(who, "v1") == ["v1"]


class Overtaken(Played):
    """Lets another borrow in while its own answer for AWSCURRENT is on its way."""

    def __init__(self, **stages: Answer) -> None:
        super().__init__(**stages)
        self.meanwhile: Callable[[], None] | None = None

    def fetch(self, stage: Stage, deadline: Deadline, calls: Calls, *, fresh: bool) -> Answer | None:
        answer = super().fetch(stage, deadline, calls, fresh=fresh)
        if self.meanwhile:
            self.meanwhile()
        return answer


def test_an_answer_does_not_undo_what_the_server_has_said_meanwhile() -> None:
    """AWSPENDING was accepted while somebody asked for AWSCURRENT: it is begun with all the same."""
    time, source = Time(), Overtaken(CURRENT=version("v1"), PENDING=version("v2"))
    who = credentials(source, time)
    logins = who.logins(UNBOUNDED)
    refused, found = next(logins), next(logins)
    assert [refused.version, found.version] == ["v1", "v2"]
    time.now += 3600
    source.meanwhile = lambda: who.accepted(found)
    assert next(who.logins(UNBOUNDED)).version == "v2"


class Cached(Played):
    """Answers as it did before, but where every cache is forbidden."""

    def __init__(self, **stages: Answer) -> None:
        super().__init__(**stages)
        self.fresh: dict[str, Answer | SecretError] = {}

    def fetch(self, stage: Stage, deadline: Deadline, calls: Calls, *, fresh: bool) -> Answer | None:
        self.stages |= self.fresh if fresh else {}
        return super().fetch(stage, deadline, calls, fresh=fresh)


def made(name: str, at: float) -> Answer:
    return replace(version(name), created_at=at)


def test_a_cache_that_is_behind_is_passed_by() -> None:
    """What an extension kept, and is older than what is known, is no news: Secrets Manager itself is asked."""
    time, source = Time(), Cached(CURRENT=made("v1", 1.0))
    who = credentials(source, time)
    versions(who, "v1")
    source.fresh = {"CURRENT": made("v2", 2.0)}
    assert versions(who, "v2") == ["v1", "v2"]
    time.now += 3600
    source.stages, source.asked = {"CURRENT": made("v1", 1.0)}, []
    assert versions(who, "v2") == ["v2"]
    assert source.asked == [(Stage.CURRENT, False), (Stage.CURRENT, True)]


def test_an_older_version_that_is_current_again_is_begun_with() -> None:
    """Who moves AWSCURRENT back, means it: that is found by age, as ever."""
    time, source = Time(), Played(CURRENT=made("v2", 2.0))
    who = credentials(source, time)
    versions(who, "v2")
    source.stages = {"CURRENT": made("v1", 1.0)}
    time.now += 3600
    assert versions(who, "v1") == ["v1"]
    assert who.has_expired("v2")
