"""How often Secrets Manager is asked, how long it is waited for, and what serves or is said while it is away."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event

import pytest

from db import Deadline, DeadlineExceededError, SecretCredentials, SecretError
from db.credentials.calls import CALLS_AT_ONCE, ONE_MORE_S, Calls
from db.credentials.secret import REFRESH_TIMEOUT_S
from db.credentials.sources import TOO_OFTEN, Answer, unreadable
from db.credentials.stages import RETRY_S, Stage
from tests.unit.played import Played, Time, credentials, version, versions


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
    with asking(who, source) as first:
        with pytest.raises(DeadlineExceededError, match="app/db"):
            next(iter(who.logins(Deadline.after(0.2))))
        assert not source.may_answer.is_set()
        assert not first.done()


def test_who_waits_for_anothers_answer_does_not_ask_again() -> None:
    """Two threads that begin at the same time cost one call."""
    source = Slow(CURRENT=version("v1"))
    who = credentials(source)
    with asking(who, source), ThreadPoolExecutor(1) as executor:
        second = executor.submit(lambda: next(iter(who.logins(Deadline.after(20)))))
        source.may_answer.set()
        assert second.result().version == "v1"
    assert source.asked.count((Stage.CURRENT, False)) == 1


def test_a_passed_deadline_asks_nobody() -> None:
    """Fetching a secret is bounded like everything else."""
    source = Played(CURRENT=version("v1"))
    with pytest.raises(DeadlineExceededError, match="app/db"):
        next(iter(credentials(source).logins(Deadline.after(0))))
    assert source.asked == []
