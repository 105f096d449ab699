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

from db.fleet.census import Sample

LEASES = ((0.5, 150.0), (0.8, 15.0), (1.0, 1.0))
"""Up to which share of slots taken a lease lasts how many times the shortest, where nothing speaks against it."""

MOST_IDLE = 0.25
"""Up to which share of slots connections may idle for longer than the shortest lease, besides those that are used again
all the time: what a sudden crowd finds free or gets back within seconds is three quarters of the slots at least."""

MOST_IDLE_OF_ALL = 0.8
"""The same where there can be no such crowd, as every environment that there can be has a slot of its own: the new ones
of a deployment find a fifth of the slots, while the old ones sleep."""

WORK_DEVIATIONS = 2
"""How many more than usual at work the free slots must do for, where a lease is to last longer than the shortest. With
one the newcomers of a deployment are refused now and then; with three few leases are long."""

REFUSAL_COUNTS_S = 2.0
"""For how long a refusal tells that slots are scarce, whatever the sample says."""

ROOM_AGAIN_AFTER_S = 30.0
"""For how long after a refusal a slot is not taken for granted."""

SHORTEST_WAIT_S, LONGEST_WAIT_S = 0.3, 1.0
"""Between which a wait's cap lies: an attempt that is refused costs the server about as much as one that is not, and
a slot that becomes free should not be waited for much longer."""

FIRST_PATIENCE = 3
"""How many times as long as usual an environment waits for its first slot: it comes with a crowd that has just begun,
and the slots that idle in resting environments come back within seconds."""

LEAST_DRAW = 0.2
"""Which part of a wait's cap is waited at least."""

DEVIATIONS = 4
"""How many more newcomers than usual there are slots for. Three are refused too often while a spike begins; more keep
hardly a connection."""

PATIENCE_IS_BACK_AFTER_S = 8.0
"""How long after a wait in vain the patience for a slot is whole again."""

LONGEST_PAUSE_S = 0.5
"""For how long at most nothing is attempted after a wait in vain."""


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
    if view.sample is not None and view.sample.tightest.free < slots_for_newcomers(view.sample, view):
        return Verdict.RELEASE_PRESSURE
    return Verdict.KEEP


def slots_for_newcomers(sample: Sample, view: View) -> float:
    """Return how many slots must stay free for environments that come without a connection.

    Of those, rate times duration are under way on average (Little's law) and hold slots already. What must be free is
    for those that come more often than on average: some standard deviations of a Poisson number.
    """
    per_s = view.newcomers_per_s
    under_way = sample.newcomers if per_s is None else per_s * view.held_s
    return min(sample.tightest.slots / 2, DEVIATIONS * math.sqrt(under_way))


def slots_for_all(at_work: float) -> float:
    """Return how many slots would serve everything that goes on, if nobody came back to the connection he holds."""
    return at_work + WORK_DEVIATIONS * math.sqrt(at_work)


def all_fit(sample: Sample, most: int | None) -> bool:
    """Say whether as many as `most` connections of this role, the most that there can be, have a slot each."""
    return most is not None and most <= sample.tightest.free + sample.of_role


def lease_s(sample: Sample, at_work: float | None, shortest_s: float, most: int | None = None) -> float:
    """Return for how long the server lets a connection idle that comes back; `most` as in `all_fit`.

    The shortest where the free slots would not do if everybody who holds one fell asleep for good, as at a deployment;
    and where too many would be out of reach for a sudden crowd.
    """
    fit = all_fit(sample, most)
    most_idle = MOST_IDLE_OF_ALL if fit else MOST_IDLE
    if sample.tightest.free < slots_for_all(at_work or 0.0) or sample.idle_share > most_idle:
        return shortest_s
    share = 0.0 if fit else sample.share
    return shortest_s * next((times for up_to, times in LEASES if share <= up_to), 1.0)


def expects_room(view: View) -> bool:
    """Say whether a slot is there for the asking, so that a login may end, and be refused, as late as it can."""
    was_refused = view.refused_at is not None and view.now - view.refused_at < ROOM_AGAIN_AFTER_S
    return not was_refused and (view.sample is None or view.sample.tightest.free > 0)


def outlived(idle_s: float, leased_s: float) -> bool:
    """Say whether a connection has idled so long that the server may be closing it just now.

    The margin, a quarter of the lease and a second at most, is for the way there: what is sent before the lease ends
    must also arrive before.
    """
    return leased_s > 0 and idle_s >= leased_s - min(1.0, leased_s / 4)


def next_wait_s(left_s: float, draw: float) -> float:
    """Return how long to wait for a slot: a `draw` (0 to 1) from a fifth of the cap to all of it.

    Jitter spreads those who were refused together; a cap of half the time left, which shrinks, lets those who have
    waited longest ask most often, so that nobody starves. To ask again at once is to be refused again.
    """
    cap_s = min(LONGEST_WAIT_S, max(SHORTEST_WAIT_S, left_s / 2))
    return cap_s * (LEAST_DRAW + (1 - LEAST_DRAW) * draw)


def patience_s(longest_s: float, since_in_vain_s: float, *, is_first: bool = False) -> float:
    """Return how long to wait for a slot at all, so long after the last wait that was in vain; `is_first`: ever.

    It grows back from nothing: where the database is asked for more than it can do, waiting gains no slot, and those
    who wait are few enough that asking again does not become the load.
    """
    patience = min(1.0, since_in_vain_s / PATIENCE_IS_BACK_AFTER_S)
    return longest_s * patience * (FIRST_PATIENCE if is_first else 1)


def pause_s(draw: float) -> float:
    """Return for how long to attempt nothing after a wait in vain: a `draw` (0 to 1) from 0 to half a second.

    Lambda hands each request to the environment that was idle last, and one that has just refused a request is: the
    excess comes to a few, who refuse it without troubling the server. Everyone else attempts at once, and with a slot
    had here the next attempt is too, so that overload is over when it is over (a circuit breaker, half open by draw).
    """
    return draw * LONGEST_PAUSE_S
