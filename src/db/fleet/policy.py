"""How many environments share few slots: what each decides alone, from what it has seen of the server.

Pure: plain data in, a decision out. Knows nothing of connections, pools or SQL.

The idea: an idle connection is worth keeping while nobody needs its slot. Each environment reads, with a flight that is
sent anyway and at most once a second, how many slots are taken. While most are free it keeps its connection, under a
lease that the server enforces and that is the shorter the fewer slots are free; and it keeps it only as long as those
that are free are enough for the environments that come without one.
"""

import math
from dataclasses import dataclass
from enum import StrEnum

IF_UNKNOWN = 0.5
"""The share of slots that stays free where it is not known how many environments come without a connection."""

LEASES = ((0.25, 150.0), (0.5, 15.0), (1.0, 1.0))
"""Up to which share of slots taken a lease lasts how many times the shortest. So a quarter of the slots at most is idle
for longer than the second, half at most for longer than the third: what a fleet that falls asleep can hold back. Longer
ones above half would spare calm fleets connects, and make the environments of the next deployment wait."""

REFUSAL_COUNTS_S = 2.0
"""For how long a refusal tells that slots are scarce, whatever the sample says."""

RATE_COUNTS_S = 10.0
"""How far apart two samples may be to tell how many come: a longer time averages a spike away that has just begun."""

SHORTEST_WAIT_S, LONGEST_WAIT_S = 0.2, 1.0
"""Between which a wait's cap lies: an attempt that is refused costs the server about as much as one that is not, and
a slot that becomes free should not be waited for much longer."""

DEVIATIONS = 4
"""How many more newcomers than usual there are slots for. Three are refused too often while a spike begins; more keep
hardly a connection."""

SMALLEST_PATIENCE = 1 / 16
"""What is left of the patience for a slot when all the waiting before was in vain."""


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
    sessions: int
    """Sessions ever begun on the server: how fast it grows says how many come without a connection."""

    @property
    def tightest(self) -> Limit:
        """Return the limit that will be met first."""
        return min(self.limits, key=lambda limit: limit.free)

    @property
    def share(self) -> float:
        """Return the share of the slots that is taken, by the limit of which most is."""
        return max(limit.share for limit in self.limits)


def newcomers_per_s(before: Sample | None, sample: Sample, own: int) -> float | None:
    """Return how many sessions a second others began between two samples; None where those do not tell.

    The environment's `own` do not count: who keeps his connection comes no more.
    """
    apart_s = sample.seen_at - before.seen_at if before else 0.0
    if before is None or not 0 < apart_s <= RATE_COUNTS_S:
        return None
    return max(0, sample.sessions - before.sessions - own) / apart_s


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What one environment knows when it decides."""

    now: float
    sample: Sample | None = None
    newcomers_per_s: float | None = None
    held_s: float = 0.0
    """How long a borrow takes here, connecting included: how long a newcomer needs a slot."""
    idle_s: float | None = None
    """How long a connection usually idles here between two borrows; None where there has been but one."""
    leased_s: float = math.inf
    """For how long the server lets this one idle."""
    refused_at: float | None = None


class Verdict(StrEnum):
    """What to do with a connection that comes back."""

    KEEP = "keep"
    RELEASE_REFUSED = "refused lately"
    RELEASE_UNUSED = "no use before the lease ends"
    RELEASE_PRESSURE = "slots needed"


def keep_or_release(view: View) -> Verdict:
    """Decide whether the connection that comes back stays warm or gives its slot to another environment."""
    if view.refused_at is not None and view.now - view.refused_at < REFUSAL_COUNTS_S:
        return Verdict.RELEASE_REFUSED
    if view.idle_s is not None and view.idle_s > view.leased_s:
        return Verdict.RELEASE_UNUSED
    if view.sample is not None and any(limit.free < slots_for_newcomers(limit, view) for limit in view.sample.limits):
        return Verdict.RELEASE_PRESSURE
    return Verdict.KEEP


def slots_for_newcomers(limit: Limit, view: View) -> float:
    """Return how many of a limit's slots must stay free for environments that come without a connection.

    Of those, rate times duration are under way on average (Little's law) and hold slots already. What must be free is
    for those that come more often than on average: some standard deviations of a Poisson number.
    """
    if view.newcomers_per_s is None:
        return IF_UNKNOWN * limit.slots
    return DEVIATIONS * math.sqrt(view.newcomers_per_s * view.held_s)


def lease_s(share: float, shortest_s: float) -> float:
    """Return for how long the server lets a connection idle that came back when `share` of the slots was taken."""
    times = next((times for up_to, times in LEASES if share <= up_to), LEASES[-1][1])
    return shortest_s * times


def outlived(idle_s: float, leased_s: float) -> bool:
    """Say whether a connection has idled so long that the server may be closing it just now.

    The margin, a quarter of the lease and a second at most, is for the way there: what is sent before the lease ends
    must also arrive before.
    """
    return leased_s > 0 and idle_s >= leased_s - min(1.0, leased_s / 4)


def next_wait_s(left_s: float, draw: float) -> float:
    """Return how long to wait for a slot: a `draw` (0 to 1) from 0 to half of the time left.

    Full jitter spreads those who were refused together; a cap that shrinks with the time left lets those who have
    waited longest ask most often, so that nobody starves.
    """
    return draw * min(LONGEST_WAIT_S, max(SHORTEST_WAIT_S, left_s / 2))


def patience_s(longest_s: float, given_up: int) -> float:
    """Return how long to wait for a slot at all, after the last `given_up` waits were in vain.

    Halved each time: where the database is asked for more than it can do, the excess is refused quickly, and those who
    wait are few enough that asking again does not become the load.
    """
    return longest_s * max(SMALLEST_PATIENCE, 0.5**given_up)
