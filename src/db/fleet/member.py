"""This environment's part in the fleet: takes a slot, keeps or releases it, and says what it saw.

Acts, through SQLAlchemy's pool events, on what db.fleet.policy decides. Knows nothing of logins or wires.
https://docs.sqlalchemy.org/en/21/core/events.html#sqlalchemy.events.PoolEvents
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from db.clock import FrozenTimeClock
from db.deadline import Clock, Deadline
from db.fleet.lookout import Lookout
from db.fleet.pace import Pace
from db.fleet.policy import Verdict, View, expects_room, keep_or_release, outlived
from db.fleet.waiting import Queue
from db.observation import Slots
from db.protocol.connection import Connection
from db.protocol.riders import Rider
from db.settings import DatabaseSettings

BEGAN_AT, RETURNED_AT = "slotwise_began_at", "slotwise_returned_at"
"""Keys in a pooled connection's info: since when this borrow has had its slot, and when the last one ended."""


class Member:
    """One environment among many that share the server's slots."""

    def __init__(
        self,
        settings: DatabaseSettings,
        deadline: Callable[[], Deadline],
        *,
        clock: Clock | None = None,
        queue: Queue | None = None,
    ) -> None:
        self._clock = clock or FrozenTimeClock()
        self._settings = settings
        self._queue = queue or Queue(settings.slot_wait_s, deadline, clock=self._clock)
        self._keeps = settings.pool_size > 0
        self._attempted_at = 0.0
        self._takes_leases: Callable[[], bool] = bool
        self.forget()

    def forget(self) -> None:
        """Know nothing of the fleet, as at the beginning: what was seen before a snapshot is no news after it."""
        self._lookout = Lookout(self._settings, self._clock)
        self._queue.forget()
        self._refused_at: float | None = None
        self._pace = Pace()
        self._facts = Slots()

    def attach(self, engine: Engine, takes_leases: Callable[[], bool]) -> None:
        """Take part in the life of the engine's connections.

        `takes_leases` says whether the server does: a pooler in front of it does not, and has rules of its own.
        """
        if self._keeps:
            self._takes_leases = takes_leases
            event.listen(engine, "connect", self._opened)
            event.listen(engine, "checkout", self._borrowed)
            event.listen(engine, "checkin", self._returned)
            event.listen(engine, "close", self._closed)

    def startup_parameters(self) -> dict[str, str]:
        """Return what a new connection says in its StartupMessage."""
        return {"idle_session_timeout": f"{self._lookout.first_lease_s() * 1000:.0f}"} if self._keeps else {}

    def with_slot(self, connect: Callable[[], Connection]) -> Connection:
        """Return the connection that `connect` opens, as soon as there is a slot; SaturatedError after too long."""
        self._pace.asked(self._clock())

        def attempt() -> Connection:
            self._attempted_at = self._clock()
            return connect()

        connection = self._queue.wait_for(attempt, self._refused)
        self._lookout.began_session()
        if self._takes_leases():
            connection.lease_s = connection.first_lease_s = self._lookout.first_lease_s()
        return connection

    def expects_room(self) -> bool:
        """Say whether a slot is there for the asking; see `db.fleet.policy.expects_room`."""
        return expects_room(self._view(self._clock(), math.inf))

    def was_refused_late(self) -> None:
        """Take note that a connection which `with_slot` returned was refused after all, in its first flight."""
        self._lookout.missed_session()
        self._refused(0.0)

    def take_facts(self) -> Slots:
        """Return what happened since this was last asked for. With several borrows at once only the sums are right."""
        facts, self._facts = self._facts, Slots()
        return facts

    def _refused(self, wait_s: float) -> None:
        self._refused_at = self._clock()
        waited_ms = self._facts.waited_ms + wait_s * 1000
        self._note(refusals=self._facts.refusals + 1, waited_ms=waited_ms)

    def _opened(self, connection: Connection, entry: ConnectionPoolEntry) -> None:
        entry.info[BEGAN_AT] = self._attempted_at
        if self._takes_leases():
            connection.behind_commit = lambda: self._next_rider(connection)

    def _next_rider(self, connection: Connection) -> Rider | None:
        def deliver(row: Sequence[Any] | None) -> None:
            if row is not None:
                connection.lease_s = self._lookout.saw(row)
                self._note_sample()

        statement = self._lookout.look()
        return Rider(statement, deliver) if statement else None

    def _note_sample(self) -> None:
        if self._lookout.sample:
            tightest = self._lookout.sample.tightest
            self._note(used=tightest.used, usable=tightest.slots)

    def _borrowed(self, connection: Connection, entry: ConnectionPoolEntry, _proxy: object) -> None:
        if RETURNED_AT not in entry.info:
            return
        if self._outlived(connection, entry):
            raise DisconnectionError("the server has ended this connection's lease, or is about to")
        del entry.info[RETURNED_AT]
        now = entry.info[BEGAN_AT] = self._clock()
        self._pace.asked(now)

    def _outlived(self, connection: Connection, entry: ConnectionPoolEntry) -> bool:
        returned_at = entry.info.get(RETURNED_AT)
        return returned_at is not None and outlived(self._clock() - returned_at, connection.lease_s)

    def _closed(self, connection: Connection, entry: ConnectionPoolEntry) -> None:
        if self._outlived(connection, entry):
            self._note(lease_ended=True)

    def _returned(self, connection: Connection | None, entry: ConnectionPoolEntry) -> None:
        if connection is None:
            return
        now = entry.info[RETURNED_AT] = self._clock()
        self._pace.returned(now, entry.info[BEGAN_AT])
        verdict = keep_or_release(self._view(now, connection.lease_s or math.inf))
        if verdict is not Verdict.KEEP:
            self._note(released=verdict)
            entry.close()

    def _view(self, now: float, leased_s: float) -> View:
        return View(
            now=now,
            sample=self._lookout.sample,
            newcomers_per_s=self._lookout.newcomers_per_s,
            held_s=self._pace.held_s or 0.0,
            idle_s=self._pace.idle_s,
            leased_s=leased_s,
            refused_at=self._refused_at,
        )

    def _note(self, **changes: Any) -> None:  # noqa: ANN401 - the fields of Slots
        self._facts = replace(self._facts, **changes)
