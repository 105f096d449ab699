"""The sum: how many connections the fleet opens at most, against how many the server has. Pure; asks no server."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from provision.plan import Share

ROOM = 1.5
"""How much higher a role's limit is than its fleet, where there are slots: for the sessions of environments that have
ended and whose leases have not, and because environments give connections up where few slots are free.
"""
NO_CEILING = "a pooler or proxy shares its connections out: its own limit bounds the fleet"


@dataclass(frozen=True, slots=True)
class Ceiling:
    """A limit that the fleet must stay under."""

    what: str
    """Whose it is, as a sentence's subject: `the server`."""
    slots: int
    is_shared: bool = True
    """Others use it too: the headroom must fit as well."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What is asked for, and what there is."""

    shares: Sequence[Share]
    headroom: int
    ceilings: Sequence[Ceiling]

    @property
    def fleet(self) -> int:
        """Connections of all functions at most."""
        return sum(share.connections for share in self.shares)

    @property
    def application(self) -> int:
        """Those of the functions that share the application's role."""
        return sum(share.connections for share in self.shares if share.login == "application")

    @property
    def fits(self) -> bool:
        """Whether every ceiling bears the fleet."""
        return all(self.left(ceiling) >= 0 for ceiling in self.ceilings)

    def needed(self, ceiling: Ceiling) -> int:
        """Return how many slots `ceiling` must have."""
        return self.fleet + self.headroom if ceiling.is_shared else self.application

    def left(self, ceiling: Ceiling) -> int:
        """Return how many slots are to spare; below 0 is how many are missing."""
        return ceiling.slots - self.needed(ceiling)

    def role_limit(self, usable: int) -> int:
        """Return the CONNECTION LIMIT that suits the application on a server of `usable` slots: never those of others.

        Where there is no ceiling, because a pooler shares its connections out, it is all the rest.
        """
        others = self.fleet - self.application + self.headroom
        rest = max(1, self.application, usable - others)
        return min(rest, math.ceil(self.application * ROOM)) if self.ceilings else rest

    def rows(self) -> list[tuple[str, str, int]]:
        """Return the sum line by line: for what, how it is reckoned, how many."""
        shares = [(share.function, factors(share), share.connections) for share in self.shares]
        return [*shares, ("headroom", "left to others", self.headroom), ("needed", "", self.fleet + self.headroom)]

    def verdicts(self) -> list[str]:
        """Return for each ceiling whether it bears the fleet, and by how much; what that is where there is none."""
        return [self._verdict(ceiling) for ceiling in self.ceilings] or [NO_CEILING]

    def _verdict(self, ceiling: Ceiling) -> str:
        left = self.left(ceiling)
        sum_ = f"{self.needed(ceiling)} connections, and {ceiling.what} has {ceiling.slots} usable slots"
        return f"{sum_}: {left} to spare" if left >= 0 else f"{sum_}: {-left} too many"

    def __str__(self) -> str:
        """Write the sum out."""
        parts = [f"{share.function} {factors(share)} = {share.connections}" for share in self.shares]
        return "; ".join([", ".join([*parts, f"headroom {self.headroom}"]), *self.verdicts()])


def factors(share: Share) -> str:
    """Return environments, processes and connections of each, as they are multiplied."""
    return f"{share.environments} x {share.processes} x {max(1, share.pool_size)}"
