"""What the simulation keeps: a connection, what an environment remembers, and what became of the requests."""

from dataclasses import dataclass, field
from math import inf

from db.fleet.census import NEW_FOR_S, USED_AGAIN_AFTER_S, USED_LATELY_S, Sample
from db.fleet.pace import Pace


@dataclass(slots=True)
class Counts:
    """What became of all requests."""

    answered: int = 0
    refused: int = 0
    refused_unasked: int = 0
    """Requests that were refused without troubling the server."""
    last_refusal_at_s: float = 0.0
    attempts: int = 0
    connects: int = 0
    environments: int = 0
    peak: int = 0
    waited_s: list[float] = field(default_factory=list)

    def waited_at_most(self, seconds: float) -> float:
        """Return the share of all requests that were answered after waiting no longer."""
        in_time = sum(waited <= seconds for waited in self.waited_s)
        return in_time / (self.answered + self.refused)


@dataclass(slots=True)
class Connection:
    """A slot that is taken."""

    leased_s: float
    opened_at: float
    returned_at: float | None = None
    is_open: bool = True

    def is_new(self, now: float) -> bool:
        """Say whether it was opened a moment ago."""
        return now - self.opened_at < NEW_FOR_S

    def is_reused(self, now: float) -> bool:
        """Say whether it is used again all the time."""
        used_at = now if self.returned_at is None else self.returned_at
        return now - used_at < USED_LATELY_S and used_at - self.opened_at > USED_AGAIN_AFTER_S


class Environment:
    """What one environment remembers."""

    def __init__(self, version: int) -> None:
        self.version = version
        self.connection: Connection | None = None
        self.pace = Pace()
        self.sample: Sample | None = None
        self.newcomers_per_s: float | None = None
        self.at_work: float | None = None
        self.own_sessions = 0
        self.refused_at: float | None = None
        self.in_vain_at = self.pauses_until = -inf
        self.is_new = True
        self.began_at = 0.0
