"""A Secrets Manager that the test plays, a clock that it sets, and logins from there."""

import json
from typing import Any

from db import Deadline, Secret, SecretCredentials, SecretError
from db.credentials.calls import Calls
from db.credentials.sources import Answer
from db.credentials.stages import Stage
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
