"""What clients ask for and when: open-loop arrivals, drawn once from a seed, the same for every strategy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Phase:
    """So many seconds with so many requests a second on average."""

    seconds: float
    per_s: float


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request for one function."""

    at_s: float
    function: str


def arrivals(phases: Sequence[Phase], weights: Mapping[str, float], seed: int) -> list[Arrival]:
    """Draw a Poisson process for each phase; each request goes to a function by weight."""
    random, drawn, begins_s = Random(seed), list[Arrival](), 0.0  # noqa: S311 - a trace, not a secret
    for phase in phases:
        at_s = begins_s + random.expovariate(phase.per_s)
        while at_s < begins_s + phase.seconds:
            drawn.append(Arrival(at_s, random.choices(list(weights), list(weights.values()))[0]))
            at_s += random.expovariate(phase.per_s)
        begins_s += phase.seconds
    return drawn
