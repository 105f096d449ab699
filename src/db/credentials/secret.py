"""The login from a secret that rotates: fetched at the first connect, kept, and fetched anew when it is refused or old.

Decides nothing (db.credentials.stages does) and reaches nobody itself (db.credentials.sources says who does).
"""

import random
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from db.clock import FrozenTimeClock
from db.credentials.calls import Calls
from db.credentials.contents import login_in
from db.credentials.identity import Credentials, Login
from db.credentials.sources import TOO_OFTEN, Answer, AskedTooOftenError, Source, unreadable
from db.credentials.stages import (
    DAY_S,
    QUESTIONS,
    RETRY_S,
    Ask,
    Attempt,
    Known,
    Stage,
    Try,
    lifetime_s,
    next_step,
)
from db.deadline import Clock, Deadline
from db.errors import SecretError
from db.patience import timeout_s

REFRESH_TIMEOUT_S = 2.0
"""How long a fetch may take while an older version can still serve."""


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
        self._know_nothing()

    def forget(self) -> None:
        """Know nothing of the secret, as at the beginning."""
        self._source.forget()
        self._know_nothing()

    def _know_nothing(self) -> None:
        self._logins: dict[str, Login] = {}
        self._stages: dict[Stage, str] = {}
        self._trusted: str | None = None
        self._fetched_at = self._clock()
        self._lifetime_s = 0.0
        self._failing = ""
        """Why Secrets Manager gave no answer when it was last asked."""
        self._calls = Calls(self._clock)

    def logins(self, deadline: Deadline) -> Iterator[Login]:
        """Yield the version to begin with, then what the stages of the secret have now: each version once."""
        attempt = Attempt()
        failure: SecretError | None = None
        while step := self._next_step(attempt):
            if isinstance(step, Login):
                attempt = replace(attempt, tried=attempt.tried | {step.version})
                yield step
            else:
                attempt, failure = self._asked(step, attempt, deadline)
        if failure or attempt.asked < len(QUESTIONS):
            raise failure or self._asked_too_often()

    def _asked_too_often(self) -> SecretError:
        """Return an error that also says why it had to be asked so often, where that is known."""
        why = self._failing or f"secret {self.secret_id} cannot be read"
        return SecretError(f"{why}: {TOO_OFTEN}")

    def accepted(self, login: Login) -> None:
        """Begin with this version from now on."""
        with self._state:
            self._hold(login)

    def has_expired(self, version: str | None) -> bool:
        """Say whether another version is in use by now, or this one is so old that the secret must be looked at.

        While the secret cannot be fetched, age ends nothing: what works goes on.
        """
        return version != self._trusted or (self._is_stale() and not self._failing)

    def _next_step(self, attempt: Attempt) -> Login | Ask | None:
        with self._state:
            step = next_step(self._known(), attempt)
            return self._logins[step.version] if isinstance(step, Try) else step

    def _known(self) -> Known:
        stages, may_ask = dict(self._stages), self._calls.left() > 0
        return Known(stages=stages, trusted=self._trusted, stale=self._is_stale(), may_ask=may_ask)

    def _is_stale(self) -> bool:
        return self._clock() - self._fetched_at >= self._lifetime_s

    def _asked(self, step: Ask, attempt: Attempt, deadline: Deadline) -> tuple[Attempt, SecretError | None]:
        """Ask, unless another thread has meanwhile; return, not raise, what went wrong: an older version may serve."""
        purpose = f"read secret {self.secret_id}"
        soon = deadline.within(REFRESH_TIMEOUT_S) if self._logins else deadline
        failure: SecretError | None = None
        if self._asking.acquire(timeout=timeout_s(soon, purpose)):
            try:
                if self._next_step(attempt) != step:
                    return attempt, None
                failure = self._fetch(step.stage, soon, fresh=bool(attempt.tried))
            finally:
                self._asking.release()
        else:
            deadline.require(purpose)
            failure = unreadable(self.secret_id, "another thread still waits for it")
        return replace(attempt, asked=attempt.asked + 1, failed=failure is not None), failure

    def _fetch(self, stage: Stage, deadline: Deadline, *, fresh: bool) -> SecretError | None:
        """Fetch what has `stage` now, and keep it."""
        try:
            answer = self._source.fetch(stage, deadline, self._calls, fresh=fresh)
            login = login_in(self.secret_id, answer, self._overrides) if answer else None
        except SecretError as error:
            with self._state:
                self._renew(RETRY_S)
                if isinstance(error, AskedTooOftenError):
                    return self._asked_too_often()
                self._failing = str(error)
            return error
        with self._state:
            self._keep(stage, answer, login)
        return None

    def _keep(self, stage: Stage, answer: Answer | None, login: Login | None) -> None:
        """Take in what Secrets Manager said; AWSCURRENT is what to begin with unless the server says otherwise."""
        if answer is None or login is None:
            self._stages.pop(stage, None)
            return
        self._logins[answer.version] = login
        self._stages[stage] = answer.version
        if stage is Stage.CURRENT:
            self._hold(login)
            self._failing = ""
            self._renew(self._lifetime_of(answer))
        in_use = {self._trusted, *self._stages.values()}
        self._logins = {version: login for version, login in self._logins.items() if version in in_use}

    def _hold(self, login: Login) -> None:
        """Begin with `login`, also where another thread has let go of it meanwhile."""
        if login.version is not None:
            self._logins[login.version] = login
            self._trusted = login.version

    def _lifetime_of(self, answer: Answer) -> float:
        rotates_in_s = None
        if self._rotation_days is not None and answer.created_at is not None:
            rotates_in_s = answer.created_at + self._rotation_days * DAY_S - self._wall()
        jitter = random.SystemRandom().random()  # copies of one snapshot share every other source of chance
        return lifetime_s(max_age_s=self._max_age_s, rotates_in_s=rotates_in_s, jitter=jitter)

    def _renew(self, lifetime_s: float) -> None:
        self._fetched_at, self._lifetime_s = self._clock(), lifetime_s

    def __repr__(self) -> str:
        """Show the secret's name and the version in use."""
        return f"SecretCredentials({self.secret_id!r}, version={self._trusted!r})"
