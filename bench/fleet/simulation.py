"""The policy on a simulated clock: fleets of any size, the same each time, in seconds.

It decides with the very functions of db.fleet.policy and db.fleet.pace; server, environments and time are simulated.
What depends on a machine (CPU, sockets, freezing) is not here but in the benchmark.
"""

import heapq
from collections.abc import Callable
from itertools import count
from random import Random

from bench.fleet.scenarios import Scenario
from bench.fleet.simulated import Connection, Counts, Environment
from db.fleet.census import Limit, Sample, at_work, newcomers_per_s
from db.fleet.lookout import LOOK_EVERY_S
from db.fleet.policy import Verdict, View, keep_or_release, lease_s, next_wait_s, outlived, patience_s, pause_s

CONNECT_S, CLOSE_S, REFUSE_S = 0.015, 0.005, 0.005
"""How long the server needs to let somebody in, to notice that he has gone, and to turn somebody away: it begins a
process for him, and only that finds that there is no slot."""
SHORTEST_LEASE_S, SLOT_WAIT_S = 2.0, 1.0


class Simulation:
    """One scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario, self._random = scenario, Random(scenario.seed)  # noqa: S311 - a simulation, not a secret
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()
        self._idle: list[Environment] = []
        self._connections: list[Connection] = []
        self._now, self._taken, self._sessions, self._worked_s, self._version = 0.0, 0, 0, 0.0, 1
        self.counts = Counts()

    def run(self) -> Counts:
        """Serve all requests of the trace."""
        for arrival in self._scenario.arrivals():
            self._at(arrival.at_s, self._arrive)
        if self._scenario.deploy_at_s is not None:
            self._at(self._scenario.deploy_at_s, self._deploy)
        while self._events:
            self._now, _, happen = heapq.heappop(self._events)
            happen()
        return self.counts

    def _at(self, moment: float, happen: Callable[[], None]) -> None:
        heapq.heappush(self._events, (moment, next(self._numbers), happen))

    def _after(self, seconds: float, happen: Callable[[], None]) -> None:
        self._at(self._now + seconds, happen)

    def _about(self, seconds: float) -> float:
        return seconds * self._random.uniform(0.7, 1.3)

    def _deploy(self) -> None:
        """Let nobody use the environments any more that there are; they stay as they are."""
        self._version += 1
        self._idle.clear()

    def _freeze(self, environment: Environment) -> None:
        if environment.version == self._version:
            self._idle.append(environment)

    # --- a request ---

    def _arrive(self) -> None:
        if self._idle:
            self._borrow(self._idle.pop())
            return
        self.counts.environments += 1
        environment = Environment(self._version)
        self._after(self._scenario.cold_start_s, lambda: self._borrow(environment))

    def _borrow(self, environment: Environment) -> None:
        environment.pace.asked(self._now)
        asked_at, connection = self._now, environment.connection
        if connection and not self._has_outlived(connection):
            connection.returned_at = None
            environment.began_at = self._now
            self._work(environment, asked_at)
            return
        if connection:
            self._close(connection)
        if self._now < environment.pauses_until:
            self.counts.refused_unasked += 1
            self._turn_away(environment)
            return
        since_in_vain_s = self._now - environment.in_vain_at
        patience = patience_s(SLOT_WAIT_S, since_in_vain_s, is_first=environment.is_new)
        environment.is_new = False
        self._attempt(environment, asked_at, self._now + patience)

    def _has_outlived(self, connection: Connection) -> bool:
        idle_s = self._now - (connection.returned_at or 0.0)
        return not connection.is_open or outlived(idle_s, connection.leased_s)

    def _attempt(self, environment: Environment, asked_at: float, until: float) -> None:
        self.counts.attempts += 1
        if self._taken >= self._scenario.slots:
            self._after(self._about(REFUSE_S), lambda: self._refuse(environment, asked_at, until))
            return
        self._taken += 1
        self.counts.peak = max(self.counts.peak, self._taken)
        environment.began_at = self._now
        self._after(self._about(CONNECT_S), lambda: self._connected(environment, asked_at))

    def _refuse(self, environment: Environment, asked_at: float, until: float) -> None:
        environment.refused_at = self._now
        wait_s = next_wait_s(until - self._now, self._random.random())
        if self._now + wait_s < until:
            self._after(wait_s, lambda: self._attempt(environment, asked_at, until))
            return
        environment.in_vain_at = self._now
        environment.pauses_until = self._now + pause_s(self._random.random())
        self._turn_away(environment)

    def _turn_away(self, environment: Environment) -> None:
        self.counts.refused += 1
        self.counts.last_refusal_at_s = self._now
        self._freeze(environment)

    def _connected(self, environment: Environment, asked_at: float) -> None:
        self.counts.connects += 1
        self._sessions += 1
        environment.own_sessions += 1
        environment.connection = Connection(self._first_lease_s(environment), self._now)
        self._connections.append(environment.connection)
        self._work(environment, asked_at)

    def _work(self, environment: Environment, asked_at: float) -> None:
        waited_s, work_s = self._now - asked_at, self._about(self._scenario.work_s)
        self._after(work_s, lambda: self._return(environment, waited_s, work_s))

    def _first_lease_s(self, environment: Environment) -> float:
        sample = environment.sample
        if sample is None or self._now - sample.seen_at >= LOOK_EVERY_S:
            return SHORTEST_LEASE_S
        return lease_s(sample, environment.at_work, SHORTEST_LEASE_S, self._scenario.max_environments)

    # --- after the transaction ---

    def _return(self, environment: Environment, waited_s: float, worked_s: float) -> None:
        self._worked_s += worked_s
        self._look(environment)
        environment.pace.returned(self._now, environment.began_at)
        connection = environment.connection
        if connection and keep_or_release(self._view(environment, connection)) is Verdict.KEEP:
            self._keep(connection)
        elif connection:
            environment.connection = None
            self._after(CLOSE_S, lambda: self._close(connection))
        self._after(self._scenario.rest_s, lambda: self._answer(environment, waited_s))

    def _look(self, environment: Environment) -> None:
        before = environment.sample
        if before and self._now - before.seen_at < LOOK_EVERY_S:
            return
        sample = self._sample(environment)
        environment.newcomers_per_s = newcomers_per_s(before, sample, environment.own_sessions)
        environment.at_work = at_work(before, sample)
        environment.sample, environment.own_sessions = sample, 0
        if environment.connection:
            most = self._scenario.max_environments
            environment.connection.leased_s = lease_s(sample, environment.at_work, SHORTEST_LEASE_S, most)

    def _sample(self, environment: Environment) -> Sample:
        """Count what the statement of db.fleet.sample counts."""
        self._connections = [connection for connection in self._connections if connection.is_open]
        others = [connection for connection in self._connections if connection is not environment.connection]
        return Sample(
            self._now,
            (Limit(self._taken, self._scenario.slots),),
            sessions=self._sessions,
            newcomers=sum(connection.is_new(self._now) for connection in others),
            reused=sum(connection.is_reused(self._now) for connection in others),
            worked_s=self._worked_s,
            of_role=self._taken,
        )

    def _view(self, environment: Environment, connection: Connection) -> View:
        return View(
            now=self._now,
            sample=environment.sample,
            newcomers_per_s=environment.newcomers_per_s,
            held_s=environment.pace.held_s or 0.0,
            idle_s=environment.pace.idle_s,
            leased_s=connection.leased_s,
            refused_at=environment.refused_at,
        )

    def _keep(self, connection: Connection) -> None:
        returned_at = connection.returned_at = self._now
        self._after(connection.leased_s, lambda: self._end_lease(connection, returned_at))

    def _end_lease(self, connection: Connection, returned_at: float) -> None:
        if connection.returned_at == returned_at:
            self._close(connection)

    def _close(self, connection: Connection) -> None:
        if connection.is_open:
            connection.is_open = False
            self._taken -= 1

    def _answer(self, environment: Environment, waited_s: float) -> None:
        self.counts.answered += 1
        self.counts.waited_s.append(waited_s)
        self._freeze(environment)
