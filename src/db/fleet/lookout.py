"""What one environment has seen of the server's slots, and when it looks again.

Writes the statement that rides, reads what it brings. Knows nothing of pools or sockets.
"""

from collections.abc import Sequence

from db.deadline import Clock
from db.fleet.census import Sample, at_work, newcomers_per_s
from db.fleet.policy import lease_s
from db.fleet.sample import UNKNOWN, read, statement
from db.settings import DatabaseSettings

LOOK_EVERY_S = 1.0
"""How often the server is counted at most: it costs the server a fraction of a millisecond each time."""

TERMS_LAST_S = 60.0
"""How long the limits of server, database and role are believed."""


class Lookout:
    """The last sample and what it says."""

    def __init__(self, settings: DatabaseSettings, clock: Clock) -> None:
        self._settings, self._clock = settings, clock
        self._terms, self._terms_since = UNKNOWN, clock()
        self._looked_at: float | None = None
        self._own_sessions = 0
        self.sample: Sample | None = None
        self.newcomers_per_s: float | None = None
        self._at_work: float | None = None

    def began_session(self) -> None:
        """Take note that this environment has opened a connection."""
        self._own_sessions += 1

    def missed_session(self) -> None:
        """Take note that the connection last opened was none after all."""
        self._own_sessions -= 1

    def look(self) -> str | None:
        """Return the statement to send along, and take it as sent; None where the last look was a moment ago."""
        now = self._clock()
        if self._looked_at is not None and now - self._looked_at < LOOK_EVERY_S:
            return None
        self._looked_at = now
        if now - self._terms_since > TERMS_LAST_S:
            self._terms = UNKNOWN
        settings = self._settings
        return statement(
            self._terms, settings.lease_s, settings.fleet_slots, settings.most_connections, self.sample, now
        )

    def saw(self, row: Sequence[object]) -> float:
        """Take what the statement brought; return the lease in seconds that it granted."""
        counted = read(row, self._clock())
        self.newcomers_per_s = newcomers_per_s(self.sample, counted.sample, self._own_sessions)
        self._at_work = at_work(self.sample, counted.sample)
        self.sample, self._own_sessions = counted.sample, 0
        if self._terms == UNKNOWN:
            self._terms, self._terms_since = counted.terms, self._clock()
        return counted.lease_s

    def first_lease_s(self) -> float:
        """Return the lease for a connection about to be opened: by the last sample, the shortest where that is old."""
        if self.sample is None or self._clock() - self.sample.seen_at >= LOOK_EVERY_S:
            return self._settings.lease_s
        return lease_s(self.sample, self._at_work, self._settings.lease_s, self._settings.most_connections)
