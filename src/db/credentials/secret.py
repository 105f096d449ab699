"""The login from a secret that rotates: fetched at the first connect, kept, and fetched anew when it is refused or old.

Decides nothing (db.credentials.stages does), keeps no version (db.credentials.versions does), and reaches nobody itself
(db.credentials.sources says who does).
"""

import math
import random
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from db.clock import DAY_S, FrozenTimeClock
from db.credentials.calls import Calls
from db.credentials.contents import login_in
from db.credentials.identity import Credentials, Login
from db.credentials.sources import TOO_OFTEN, Answer, AskedTooOftenError, Source, UselessVersionError, unreadable
from db.credentials.stages import RETRY_S, Ask, Attempt, Stage, Try, lifetime_s, next_step
from db.credentials.versions import Question, Versions
from db.deadline import Clock, Deadline
from db.errors import SecretError
from db.patience import timeout_s

REFRESH_TIMEOUT_S = 2.0
"""How long a fetch may take while an older version can still serve."""
SPARED_S = 300.0
"""For how long age ends no connection after Secrets Manager gave no answer: another one might not be had."""


class SecretCredentials(Credentials):
    """A login from Secrets Manager that survives rotation; for one secret in one process."""

    def __init__(
        self,
        secret_id: str,
        source: Source,
        overrides: Mapping[str, Any],
        *,
        max_age_s: float,
        rotation_days: float | None = None,
        clock: Clock | None = None,
        wall: Clock = time.time,
    ) -> None:
        """Keep a version for `max_age_s` seconds, or until `rotation_days` after it was made, where that is given.

        `overrides` are host, port or database from elsewhere.
        """
        self.secret_id = secret_id
        self._source = source
        self._overrides = overrides
        self._max_age_s = max_age_s
        self._rotation_days = rotation_days
        self._clock = clock or FrozenTimeClock()
        self._wall = wall
        self._asking = threading.Lock()
        """Held while a thread asks, so that others wait for its answer."""
        self._state = threading.Lock()
        """Held for a moment by who reads or changes what is known."""
        self._versions = Versions()
        self._know_nothing()

    def forget(self) -> None:
        """Know nothing of the secret, as at the beginning."""
        self._source.forget()
        self._know_nothing()

    def _know_nothing(self) -> None:
        self._versions.forget()
        self._look_again_at = math.inf
        """When the secret is looked at before it is old, because where it leads there was nobody."""
        self._renew(0.0)
        self._failing = ""
        """Why Secrets Manager gave no answer when it was last asked."""
        self._failed_at = -math.inf
        self._calls = Calls(self._clock)

    def logins(self, deadline: Deadline) -> Iterator[Login]:
        """Yield the version to begin with, then what the stages of the secret have now: each version once."""
        attempt = Attempt(began=self._versions.heard, refused=self._versions.sent)
        failure: SecretError | None = None
        while step := self._next_step(attempt):
            if isinstance(step, Login):
                yield step
                attempt = attempt.after_refusal(step.version, self._versions.sent)
            elif failure := self._asked(step, attempt, deadline):
                attempt = replace(attempt, failed=True)
        if failure := failure or self._flaw():
            raise failure

    def _flaw(self) -> SecretError | None:
        """Return what is wrong with versions that could not be tried, where nothing else is."""
        with self._state:
            flaws = "; ".join(self._versions.flaws.values())
        return SecretError(flaws) if flaws else None

    def _asked_too_often(self) -> SecretError:
        """Return an error that also says why it had to be asked so often, where that is known."""
        why = self._failing or f"secret {self.secret_id} cannot be read"
        return SecretError(f"{why}: {TOO_OFTEN}")

    def accepted(self, login: Login) -> None:
        """Begin with this version from now on, unless a newer one was found since it was handed out."""
        with self._state:
            self._versions.accepted(login)

    def failed(self, login: Login) -> None:  # noqa: ARG002 - whichever it was, the secret may have moved since
        """Look at the secret again in a while, which costs one call each such while: it may say another host by now."""
        with self._state:
            self._look_again_at = min(self._look_again_at, self._clock() + RETRY_S)

    def has_expired(self, version: str | None) -> bool:
        """Say whether another version is in use by now, or this one is so old that the secret must be looked at.

        The next connect looks. Where it could not fetch the secret, what works goes on for a while.
        """
        return version != self._versions.trusted or (self._has_aged() and not self._is_spared())

    def _next_step(self, attempt: Attempt) -> Login | Ask | None:
        with self._state:
            step = next_step(self._versions.known(stale=self._is_stale()), attempt)
            return self._versions.hand_out(step.version) if isinstance(step, Try) else step

    def _is_stale(self) -> bool:
        return self._has_aged() or self._clock() >= self._look_again_at

    def _has_aged(self) -> bool:
        return self._clock() - self._fetched_at >= self._lifetime_s

    def _is_spared(self) -> bool:
        return self._clock() - self._failed_at < SPARED_S

    def _asked(self, step: Ask, attempt: Attempt, deadline: Deadline) -> SecretError | None:
        """Ask, unless another thread has meanwhile; return, not raise, what went wrong: an older version may serve."""
        purpose = f"read secret {self.secret_id}"
        soon = deadline.within(REFRESH_TIMEOUT_S) if self._versions else deadline
        if not self._asking.acquire(timeout=timeout_s(soon, purpose)):
            deadline.require(purpose)
            return unreadable(self.secret_id, "another thread still waits for it")
        try:
            question = self._question(step, attempt)
            return self._fetch(question, soon, fresh=bool(attempt.tried)) if question else None
        finally:
            self._asking.release()

    def _question(self, step: Ask, attempt: Attempt) -> Question | None:
        """Return the question to send now; None where another thread's answer has led to another step."""
        with self._state:
            known = self._versions.known(stale=self._is_stale())
            return self._versions.question(step.stage) if next_step(known, attempt) == step else None

    def _fetch(self, question: Question, deadline: Deadline, *, fresh: bool) -> SecretError | None:
        """Fetch what has the stage now, and keep it."""
        if not self._calls.left():
            return self._asked_too_often()
        try:
            answer = self._answer(question.stage, deadline, fresh=fresh)
            login = login_in(self.secret_id, answer, self._overrides) if answer else None
        except SecretError as error:
            return self._without_answer(question, error)
        with self._state:
            self._keep(question, answer, login)
        return None

    def _answer(self, stage: Stage, deadline: Deadline, *, fresh: bool) -> Answer | None:
        """Ask; where a cache on the way is behind what is known, once more past it."""
        answer = self._source.fetch(stage, deadline, self._calls, fresh=fresh)
        if fresh or answer is None or not self._versions.is_outdated(answer):
            return answer
        return self._source.fetch(stage, deadline, self._calls, fresh=True)

    def _without_answer(self, question: Question, error: SecretError) -> SecretError | None:
        """Leave Secrets Manager alone for a while, and return what to say; None where only this stage is of no use.

        Not so with AWSCURRENT: whatever is wrong with that, no other one stands for it.
        """
        with self._state:
            if isinstance(error, UselessVersionError) and question.stage is not Stage.CURRENT:
                self._versions.take_in_none(question, flaw=str(error))
                return None
            self._renew(RETRY_S)
            if isinstance(error, AskedTooOftenError):
                return self._asked_too_often()
            self._failing, self._failed_at = str(error), self._clock()
        return error

    def _keep(self, question: Question, answer: Answer | None, login: Login | None) -> None:
        """Take in what Secrets Manager said, and for how long AWSCURRENT is good."""
        if answer is None or login is None:
            self._versions.take_in_none(question)
            return
        self._versions.take_in(question, answer, login)
        if question.stage is Stage.CURRENT:
            self._failing, self._failed_at = "", -math.inf
            self._renew(self._lifetime_of(answer))

    def _lifetime_of(self, answer: Answer) -> float:
        rotates_in_s = None
        if self._rotation_days is not None and answer.created_at is not None:
            rotates_in_s = answer.created_at + self._rotation_days * DAY_S - self._wall()
        jitter = random.SystemRandom().random()  # copies of one snapshot share every other source of chance
        return lifetime_s(max_age_s=self._max_age_s, rotates_in_s=rotates_in_s, jitter=jitter)

    def _renew(self, lifetime_s: float) -> None:
        self._fetched_at, self._lifetime_s = self._clock(), lifetime_s
        self._look_again_at = math.inf

    def __repr__(self) -> str:
        """Show the secret's name and the version in use."""
        return f"SecretCredentials({self.secret_id!r}, version={self._versions.trusted!r})"
