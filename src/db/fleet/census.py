"""What was counted of the server at one moment, and what two such counts tell: who comes, and who is at work.

Pure. How it is counted is db.fleet.sample's business, what follows from it db.fleet.policy's.
"""

from dataclasses import dataclass

USED_LATELY_S, USED_AGAIN_AFTER_S = 2.0, 1.0
"""A connection is used again all the time where the last use was so lately, and so long after it was opened."""

NEW_FOR_S = 1.0
"""For how long after it was opened a connection is a newcomer's."""

WORK_COUNTS_S = 300.0
"""How far apart two samples may be to tell how many are at work."""

RATE_COUNTS_S = 10.0
"""How far apart two samples may be to tell how many come: a longer time averages a spike away that has just begun."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One of the server's limits, as it applies to this environment's role."""

    used: int
    slots: int

    @property
    def share(self) -> float:
        """Return how much is used: 1 where nothing is left."""
        return self.used / self.slots if self.slots > 0 else 1.0

    @property
    def free(self) -> int:
        """Return how many more could connect."""
        return max(0, self.slots - self.used)


@dataclass(frozen=True, slots=True)
class Sample:
    """What a flight brought home of the whole server."""

    seen_at: float
    limits: tuple[Limit, ...]
    """The server's, and the database's, the role's and the fleet's own where they have one."""
    sessions: int = 0
    """Sessions ever begun in the database: how fast it grows says how many come without a connection."""
    newcomers: int = 0
    """Other connections of this role that were opened a moment ago: how many come, where but one sample is known."""
    reused: int = 0
    """Other connections of this role that are used again all the time; of other roles it may not see that."""
    worked_s: float = 0.0
    """Seconds ever spent in transactions of the database: how fast it grows says how many are at work."""
    of_role: int = 0
    """Connections of this role, this one among them."""

    @property
    def tightest(self) -> Limit:
        """Return the limit that will be met first."""
        return min(self.limits, key=lambda limit: limit.free)

    @property
    def share(self) -> float:
        """Return the share of the slots that is taken, by the limit of which most is."""
        return max(limit.share for limit in self.limits)

    @property
    def idle_share(self) -> float:
        """Return the share of the slots that is taken by connections which are not used again all the time."""
        return max(Limit(limit.used - self.reused, limit.slots).share for limit in self.limits)


def newcomers_per_s(before: Sample | None, sample: Sample, own: int) -> float | None:
    """Return how many sessions a second others began between two samples; None where those do not tell.

    The environment's `own` do not count: who keeps his connection comes no more.
    """
    apart_s = seconds_between(before, sample.seen_at, RATE_COUNTS_S)
    return max(0, sample.sessions - before.sessions - own) / apart_s if before and apart_s else None


def at_work(before: Sample | None, sample: Sample) -> float | None:
    """Return how many sessions were in a transaction on average between two samples; None where those do not tell."""
    apart_s = seconds_between(before, sample.seen_at, WORK_COUNTS_S)
    return max(0.0, sample.worked_s - before.worked_s) / apart_s if before and apart_s else None


def seconds_between(before: Sample | None, now: float, at_most_s: float) -> float | None:
    """Return how long ago the sample before was seen; None where there is none or it was too long ago to tell."""
    apart_s = now - before.seen_at if before else 0.0
    return apart_s if 0 < apart_s <= at_most_s else None
