"""What a process knows of the versions of a secret: what it was told, and which one the server took. Asks nobody.

Not for two threads at once: who has it, has a lock.
"""

from dataclasses import dataclass

from db.credentials.identity import Login
from db.credentials.stages import Known, Stage
from db.errors import SecretError


@dataclass(frozen=True, slots=True)
class Question:
    """A question that is about to be sent."""

    stage: Stage
    number: int
    """The how manieth of the process it is."""


class Versions:
    """The versions that are in use, by their ids."""

    def __init__(self) -> None:
        self.sent = self.heard = 0
        """The last question that was sent, and the last that was answered, ever."""
        self.forget()

    def forget(self) -> None:
        """Know no version."""
        self._logins: dict[str, Login] = {}
        self._stages: dict[Stage, str] = {}
        self._answered: dict[Stage, int] = {}
        self.flaws: dict[Stage, str] = {}
        """What is wrong with the version that a stage has, so that it counts as none."""
        self.trusted: str | None = None
        """The version to begin with."""

    def __bool__(self) -> bool:
        """Say whether there is any."""
        return bool(self._logins)

    def __getitem__(self, version: str) -> Login:
        """Return the login of a version that is known."""
        return self._logins[version]

    def known(self, *, stale: bool) -> Known:
        """Return what the next step is decided by."""
        return Known(stages=dict(self._stages), answered=dict(self._answered), trusted=self.trusted, stale=stale)

    def question(self, stage: Stage) -> Question:
        """Count a question that is about to be sent."""
        self.sent += 1
        return Question(stage, self.sent)

    def take_in(self, question: Question, login: Login | None) -> None:
        """Keep what the answer holds, None where no version has the stage.

        AWSCURRENT is what to begin with unless the server says otherwise.
        """
        self._heard(question)
        if login is None or login.version is None:
            self._stages.pop(question.stage, None)
            return
        self._logins[login.version] = login
        self._stages[question.stage] = login.version
        if question.stage is Stage.CURRENT:
            self.trusted = login.version
        in_use = {self.trusted, *self._stages.values()}
        self._logins = {version: login for version, login in self._logins.items() if version in in_use}

    def take_in_flaw(self, question: Question, flaw: SecretError) -> None:
        """Keep that the stage's version is of no use: it has none, then."""
        self.take_in(question, None)
        self.flaws[question.stage] = f"{question.stage}: {flaw}"

    def _heard(self, question: Question) -> None:
        self._answered[question.stage] = self.heard = question.number
        self.flaws.pop(question.stage, None)

    def accepted(self, login: Login) -> None:
        """Begin with `login`, also where another thread has let go of it meanwhile."""
        if login.version is not None:
            self._logins[login.version] = login
            self.trusted = login.version
