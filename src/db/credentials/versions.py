"""What a process knows of the versions of a secret: what it was told, and which one the server took. Asks nobody.

Not for two threads at once: who has it, has a lock.
"""

from dataclasses import dataclass

from db.credentials.identity import Login
from db.credentials.sources import Answer
from db.credentials.stages import Known, Stage


@dataclass(frozen=True, slots=True)
class Question:
    """A question that is about to be sent."""

    stage: Stage
    number: int
    """The process numbers its questions from 1 on."""
    trusted: str | None
    """The version to begin with when it was sent."""


class Versions:
    """The versions that are in use, by their ids."""

    def __init__(self) -> None:
        self.sent = self.heard = 0
        """The last question that was sent, and the last that was answered, ever."""
        self.forget()

    def forget(self) -> None:
        """Know no version."""
        self._logins: dict[str, Login] = {}
        self._made_at: dict[str, float | None] = {}
        self._stages: dict[Stage, str] = {}
        self._answered: dict[Stage, int] = {}
        self._offered: set[str] = set()
        """Versions that were handed out since there is a version to begin with, and are another one."""
        self.flaws: dict[Stage, str] = {}
        """What is wrong with the version that a stage has, so that it counts as none."""
        self.trusted: str | None = None
        """The version to begin with."""

    def __bool__(self) -> bool:
        """Say whether there is any."""
        return bool(self._logins)

    def hand_out(self, version: str) -> Login:
        """Return the login of a version that is known, for the server to judge."""
        if version != self.trusted:
            self._offered.add(version)
        return self._logins[version]

    def is_outdated(self, answer: Answer) -> bool:
        """Say whether an answer has a version that is older than the one to begin with, so that it may be a cache's."""
        newest = self._made_at.get(self.trusted) if self.trusted else None
        return newest is not None and answer.created_at is not None and answer.created_at < newest

    def known(self, *, stale: bool) -> Known:
        """Return what the next step is decided by."""
        return Known(stages=dict(self._stages), answered=dict(self._answered), trusted=self.trusted, stale=stale)

    def question(self, stage: Stage) -> Question:
        """Count a question that is about to be sent."""
        self.sent += 1
        return Question(stage, self.sent, self.trusted)

    def take_in(self, question: Question, answer: Answer, login: Login) -> None:
        """Keep what the answer holds.

        AWSCURRENT is what to begin with unless the server says otherwise, be it while the answer is on its way.
        """
        self._heard(question)
        self._logins[answer.version], self._made_at[answer.version] = login, answer.created_at
        self._stages[question.stage] = answer.version
        if question.stage is Stage.CURRENT and self.trusted == question.trusted:
            self._trust(answer.version)
        for version in self._logins.keys() - {self.trusted, *self._stages.values(), *self._offered}:
            del self._logins[version], self._made_at[version]

    def take_in_none(self, question: Question, flaw: str = "") -> None:
        """Keep that no version has the stage; or one that is of no use, because of `flaw`."""
        self._heard(question)
        self._stages.pop(question.stage, None)
        if flaw:
            self.flaws[question.stage] = f"{question.stage}: {flaw}"

    def _heard(self, question: Question) -> None:
        self._answered[question.stage] = self.heard = question.number
        self.flaws.pop(question.stage, None)

    def accepted(self, login: Login) -> None:
        """Begin with `login`, unless another one was let in, or became AWSCURRENT, since it was handed out."""
        if login.version in self._offered:
            self._trust(login.version)

    def _trust(self, version: str) -> None:
        if version != self.trusted:
            self._offered.clear()
        self.trusted = version
