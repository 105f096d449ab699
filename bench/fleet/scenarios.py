"""What the fleet goes through: how many slots, how long the work, what happens meanwhile, and who takes part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from bench.fleet.trace import Arrival, Phase, arrivals

OURS = "slotwise"
EVERYBODY = (
    OURS,
    "pgbouncer",
    "null_pool",
    "queue_pool",
    "kept",
    "psycopg2_pool",
    "psycopg_pool",
    "serverless_mysql",
    "serverless_postgres",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One trace and its circumstances."""

    name: str
    title: str
    phases: tuple[Phase, ...]
    slots: int = 40
    """Connections that the server has for the functions, all together."""
    headroom: int = 5
    """Connections that the functions' roles leave free: an attempt that is refused has one for some milliseconds."""
    work_s: float = 0.4
    """How long the statement takes that each invocation runs in a transaction."""
    rest_s: float = 1.0
    """How long the invocation takes for everything else, after the transaction."""
    functions: Mapping[str, float] = field(default_factory=lambda: {"api": 1.0})
    """Each function's part of the requests; each has a role and environments of its own."""
    max_environments: int = 500
    """The account's concurrency: what comes beyond it is throttled."""
    cold_start_s: float = 0.3
    timeout_s: float = 5.0
    """The function's time-out, on top of the rest of its work."""
    vanish_after_s: float = 20.0
    """After so long without an invocation an environment is never seen again; nobody closes its connection."""
    restart_at_s: float | None = None
    """When the server restarts, without a word to anybody."""
    deploy_at_s: float | None = None
    """When a new version takes all requests; the environments of the old one stay frozen as they are."""
    strategies: Sequence[str] = EVERYBODY
    seed: int = 7

    def arrivals(self) -> list[Arrival]:
        """Return the requests, the same each time."""
        return arrivals(self.phases, self.functions, self.seed)

    @property
    def seconds(self) -> float:
        """How long requests come."""
        return sum(phase.seconds for phase in self.phases)

    @property
    def ideal_s(self) -> float:
        """How long an invocation takes for which a connection is there."""
        return self.work_s + self.rest_s


def spike(calm_s: float, spike_s: float, calm_per_s: float) -> tuple[Phase, ...]:
    """Calm, a spike of ten times as much, calm."""
    return (Phase(calm_s, calm_per_s), Phase(spike_s, calm_per_s * 10), Phase(calm_s * 1.5, calm_per_s))


TWO = (OURS, "pgbouncer")
THREE = (*TWO, "null_pool")
FOUR = (*THREE, "kept")


def full() -> list[Scenario]:
    """Return what is measured for bench/fleet.md."""
    ten = Scenario(
        name="x10", title="10 x more environments than slots", phases=spike(10, 25, calm_per_s=4), rest_s=9.6
    )
    six = replace(
        ten,
        name="x6",
        title="6 x more environments than slots",
        phases=spike(8, 22, calm_per_s=4),
        rest_s=5.6,
        strategies=TWO,
    )
    return [
        ten,
        six,
        replace(six, name="x3", title="3 x more environments than slots", rest_s=2.6),
        replace(
            ten,
            name="minute",
            title="10 x more environments than slots, for a minute",
            phases=spike(10, 60, calm_per_s=4),
            strategies=(OURS,),
        ),
        replace(
            six,
            name="busy",
            title="10 x more environments than slots, seven tenths of which are at work",
            phases=spike(8, 22, calm_per_s=3.5),
            slots=20,
            rest_s=5.3,
            strategies=THREE,
        ),
        replace(
            six,
            name="fewer",
            title="fewer environments than slots",
            phases=(Phase(30, 8),),
            rest_s=1.0,
            max_environments=40,
            strategies=(*TWO, "kept"),
        ),
        replace(
            six,
            name="nearly",
            title="nearly as many environments as slots",
            phases=(Phase(30, 12),),
            rest_s=1.0,
            max_environments=40,
            strategies=(*TWO, "kept"),
        ),
        replace(
            six,
            name="restart",
            title="the server restarts in the spike",
            restart_at_s=18.0,
            strategies=FOUR,
        ),
        replace(
            six,
            name="deployment",
            title="a new version takes over",
            phases=(Phase(12, 30), Phase(18, 30)),
            rest_s=2.0,
            deploy_at_s=12.0,
            strategies=FOUR,
        ),
        replace(
            six,
            name="two_functions",
            title="two functions with roles of their own",
            functions={"api": 0.7, "worker": 0.3},
        ),
        replace(
            six,
            name="overload",
            title="half as much again as the slots can serve",
            phases=(Phase(5, 12), Phase(25, 45), Phase(12, 12)),
            slots=12,
            rest_s=0.5,
            max_environments=250,
            strategies=THREE,
        ),
    ]


def short() -> list[Scenario]:
    """Return a few seconds of the same: for CI and for trying out."""
    small = Scenario(
        name="short",
        title="a short spike",
        phases=spike(2, 5, calm_per_s=1.5),
        slots=12,
        work_s=0.2,
        rest_s=3.0,
        max_environments=100,
        strategies=(OURS, "null_pool"),
    )
    return [small]
