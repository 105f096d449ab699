"""The login from a secret, over a Secrets Manager that the test plays."""

import json
import time
import traceback
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from threading import Event
from typing import Any

import pytest

from db import Deadline, DeadlineExceededError, Login, Secret, SecretCredentials, SecretError
from db.credentials.calls import CALLS_AT_ONCE, ONE_MORE_S, Calls
from db.credentials.secret import REFRESH_TIMEOUT_S, login_in
from db.credentials.sources import TOO_OFTEN, Answer, unreadable
from db.credentials.stages import RETRY_S, Stage
from db.deadline import UNBOUNDED

PASSWORD = "pw-that-must-not-be-seen"
FIELDS = {"username": "app", "password": PASSWORD, "host": "db.example.com", "port": 6543, "dbname": "slots"}


def version(name: str, **changes: Any) -> Answer:  # noqa: ANN401 - JSON
    return Answer(version=name, text=Secret(json.dumps({**FIELDS, "username": f"app_{name}", **changes})))


class Played:
    """A secret's stages, set by the test; remembers what was asked."""

    def __init__(self, **stages: Answer | SecretError) -> None:
        self.stages: dict[str, Answer | SecretError] = stages
        self.asked: list[tuple[Stage, bool]] = []
        self.had_s: list[float] = []
        """For how long each question might take."""

    def fetch(self, stage: Stage, deadline: Deadline, calls: Calls, *, fresh: bool) -> Answer | None:
        assert deadline.remaining_s() > 0
        assert calls.take()
        self.asked.append((stage, fresh))
        self.had_s.append(deadline.remaining_s())
        if isinstance(answer := self.stages.get(stage.name), SecretError):
            raise answer
        return answer

    def forget(self) -> None:
        self.asked.clear()


class Time:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


def credentials(source: Played, time: Time | None = None, **options: Any) -> SecretCredentials:  # noqa: ANN401 - the test names them
    clock = time or Time()
    return SecretCredentials("app/db", source, {}, **{"max_age_s": 3600, "clock": clock, "wall": clock, **options})


def versions(of: SecretCredentials, accept: str | None = None) -> list[str | None]:
    """Log in as a server that accepts version `accept` only; return what was tried before there was nothing else."""
    tried: list[str | None] = []
    try:
        for login in of.logins(UNBOUNDED):
            tried.append(login.version)
            if login.version == accept:
                of.accepted(login)
                break
    except SecretError:
        if not tried:
            raise
    return tried


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


def test_while_secrets_manager_is_away_the_known_version_serves() -> None:
    """An old version goes on, and the service is left alone for a while."""
    time, source = Time(), Played(CURRENT=version("v1"))
    who = credentials(source, time)
    versions(who, "v1")
    source.stages["CURRENT"] = SecretError("away")
    time.now += 3600
    for _ in range(10):
        assert versions(who, "v1") == ["v1"]
    assert len(source.asked) == 2
    assert not who.has_expired("v1")
    time.now += RETRY_S
    versions(who, "v1")
    assert len(source.asked) == 3


def test_a_secret_that_was_never_had_ends_in_the_reason() -> None:
    """A cold start without Secrets Manager is a typed error, one call each, a few in a row; it serves soon after."""
    time, source = Time(), Played(CURRENT=SecretError("secret app/db cannot be read: ThrottlingException"))
    who = credentials(source, time)
    for _ in range(20):
        with pytest.raises(SecretError, match="app/db cannot be read: ThrottlingException"):
            versions(who)
    assert len(source.asked) == CALLS_AT_ONCE
    time.now += ONE_MORE_S
    source.stages["CURRENT"] = version("v1")
    assert versions(who, "v1") == ["v1"]


def test_a_source_that_must_not_ask_hides_no_reason() -> None:
    """What it had to be asked for so often is told with it, and each once, however often that goes on."""
    source = Played(CURRENT=unreadable("app/db", "ThrottlingException"))
    who = credentials(source)
    with pytest.raises(SecretError):
        versions(who)
    source.stages["CURRENT"] = unreadable("app/db", TOO_OFTEN)
    for _ in range(2):
        with pytest.raises(SecretError) as raised:
            versions(who)
        assert str(raised.value) == f"secret app/db cannot be read: ThrottlingException: {TOO_OFTEN}"


def test_a_password_that_stays_wrong_costs_a_few_calls_a_minute() -> None:
    """Refusal after refusal asks Secrets Manager no more often than that."""
    time = Time()
    source = Played(CURRENT=version("v2"), PENDING=version("v3"), PREVIOUS=version("v1"))
    who = credentials(source, time)
    for _ in range(100):
        assert set(versions(who)) == {"v1", "v2", "v3"}
        time.now += 1
    assert len(source.asked) <= CALLS_AT_ONCE + 100 / ONE_MORE_S


def test_a_connection_expires_with_its_version_or_its_age() -> None:
    """What logged in with an older version, or so long ago that the secret must be looked at, ends when returned."""
    time, source = Time(), Played(CURRENT=version("v1"))
    who = credentials(source, time)
    versions(who, "v1")
    assert not who.has_expired("v1")
    assert who.has_expired("v0")
    time.now += 3600
    assert who.has_expired("v1")


def test_a_refresh_has_a_moment_where_an_older_version_serves() -> None:
    """A Secrets Manager that answers nobody costs an invocation two seconds, and a cold start what it has."""
    time, source = Time(), Played(CURRENT=version("v1"))
    who = credentials(source, time)
    versions(who, "v1")
    time.now += 3600
    next(iter(who.logins(Deadline.after(30))))
    first, second = source.had_s
    assert first > REFRESH_TIMEOUT_S
    assert second <= REFRESH_TIMEOUT_S


def test_a_version_that_others_have_let_go_of_serves_again_once_it_is_accepted() -> None:
    """One thread logs in with the old version while another finds the new one."""
    source = Played(CURRENT=version("v1"))
    who = credentials(source)
    (login,) = islice(who.logins(UNBOUNDED), 1)
    for name in ("v2", "v3"):
        source.stages = {"CURRENT": version(name)}
        versions(who, name)
    who.accepted(login)
    assert versions(who, "v1") == ["v1"]


class Slow(Played):
    """Answers when the test says so."""

    def __init__(self, **stages: Answer | SecretError) -> None:
        super().__init__(**stages)
        self.is_asked, self.may_answer = Event(), Event()

    def fetch(self, stage: Stage, deadline: Deadline, calls: Calls, *, fresh: bool) -> Answer | None:
        self.is_asked.set()
        assert self.may_answer.wait(20)
        return super().fetch(stage, deadline, calls, fresh=fresh)


@contextmanager
def asking(who: SecretCredentials, source: Slow) -> Iterator[Future[list[str | None]]]:
    """Let another thread ask, which has no answer yet."""
    with ThreadPoolExecutor(1) as executor:
        first = executor.submit(versions, who)
        try:
            assert source.is_asked.wait(20)
            yield first
        finally:
            source.may_answer.set()


def test_who_waits_for_anothers_answer_waits_no_longer_than_he_may() -> None:
    """The deadline is his own."""
    source = Slow(CURRENT=version("v1"))
    who = credentials(source)
    with asking(who, source):
        began = time.monotonic()
        with pytest.raises(DeadlineExceededError, match="app/db"):
            next(iter(who.logins(Deadline.after(0.2))))
        assert time.monotonic() - began < 1.2


def test_who_waits_for_anothers_answer_does_not_ask_again() -> None:
    """Two threads that begin at the same time cost one call."""
    source = Slow(CURRENT=version("v1"))
    who = credentials(source)
    with asking(who, source), ThreadPoolExecutor(1) as executor:
        second = executor.submit(lambda: next(iter(who.logins(Deadline.after(20)))))
        source.may_answer.set()
        assert second.result().version == "v1"
    assert source.asked.count((Stage.CURRENT, False)) == 1


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


def test_a_passed_deadline_asks_nobody() -> None:
    """Fetching a secret is bounded like everything else."""
    source = Played(CURRENT=version("v1"))
    with pytest.raises(DeadlineExceededError, match="app/db"):
        next(iter(credentials(source).logins(Deadline.after(0))))
    assert source.asked == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"user": "app", "host": "db.example.com", "port": 6543, "database": "slots"}),
        ({"port": "5433"}, {"port": 5433}),
        ({"port": None, "dbname": None}, {"port": 5432, "database": "postgres"}),
        ({"engine": "postgres", "masterarn": "arn:..."}, {"user": "app"}),
    ],
)
def test_rds_keys_are_read(changes: dict[str, Any], expected: dict[str, Any]) -> None:
    """User, password, host, port and database come from the keys that RDS writes."""
    login = login_in("s", Answer(version="v1", text=Secret(json.dumps({**FIELDS, **changes}))), {})
    assert login.password.reveal() == PASSWORD
    assert {name: getattr(login, name) for name in expected} == expected


def test_settings_override_where_not_who() -> None:
    """A secret that RDS manages has no host: the settings give it, or another one."""
    answer = Answer(version="v1", text=Secret(json.dumps({"username": "app", "password": PASSWORD})))
    login = login_in("s", answer, {"host": "replica", "port": 6000, "database": "other"})
    assert (login.host, login.port, login.database) == ("replica", 6000, "other")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is not a JSON object"),
        (PASSWORD, "is not a JSON object"),
        (json.dumps([PASSWORD]), "is not a JSON object"),
        ("[" * 100_000 + PASSWORD, "is not a JSON object"),
        (json.dumps({**FIELDS, "username": ""}), "has no usable field 'username'"),
        (json.dumps({**FIELDS, "password": ""}), "has no usable field 'password'"),
        (json.dumps({**FIELDS, "username": {"password": PASSWORD}}), "has no usable field 'username'"),
        (json.dumps({**FIELDS, "port": PASSWORD}), "has no usable field 'port'"),
        (json.dumps({**FIELDS, "port": 0}), "has no usable field 'port'"),
        (json.dumps({**FIELDS, "host": None}), "has no usable field 'host'"),
    ],
)
def test_an_unusable_secret_is_named_with_its_field_and_without_its_text(text: str, problem: str) -> None:
    """Neither message nor cause nor any frame's locals hold what was in the secret."""
    with pytest.raises(SecretError) as raised:
        versions(credentials(Played(CURRENT=Answer(version="v1", text=Secret(text)))))
    assert str(raised.value) == f"secret app/db {problem}"
    del text
    seen = "".join(traceback.TracebackException.from_exception(raised.value, capture_locals=True).format())
    assert "Secret(" in seen
    assert PASSWORD not in without_test_frames(seen)


def without_test_frames(seen: str) -> str:
    """Drop this file's own frames: the test knows what it wrote."""
    frames = seen.split('  File "')
    return "".join(frame for frame in frames if not frame.startswith(__file__))


def test_a_login_hides_its_password() -> None:
    """A logged login gives nothing away."""
    mapping: Mapping[str, Login] = {"login": login_in("s", version("v1"), {})}
    assert PASSWORD not in repr(mapping)
    assert "app_v1" in repr(mapping)
