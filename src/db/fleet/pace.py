"""How this environment usually borrows: how long it holds a connection, and how long that idles in between.

Knows nothing of connections.
"""

SMOOTHING = 0.3
"""The weight of the last borrow in what is usual."""
SHORTEST_S = 0.001
"""What is shorter counts as this long."""


class Pace:
    """Learns from each borrow; moments are in seconds on one clock."""

    def __init__(self) -> None:
        self.held_s: float | None = None
        """None before the first borrow has ended."""
        self.idle_s: float | None = None
        """None before the second borrow."""
        self._returned_at: float | None = None

    def asked(self, now: float) -> None:
        """Take note that a connection is asked for."""
        if self._returned_at is not None:
            self.idle_s = _smoothed(self.idle_s, now - self._returned_at)
            self._returned_at = None

    def returned(self, now: float, began_at: float) -> None:
        """Take note that the connection which has needed a slot since `began_at` is given back."""
        self.held_s = _smoothed(self.held_s, now - began_at)
        self._returned_at = now


def _smoothed(usual_s: float | None, last_s: float) -> float:
    """Return what is usual now: smoothed by ratio, so that one night of sleep is soon forgotten."""
    last_s = max(last_s, SHORTEST_S)
    return last_s if usual_s is None else usual_s * (last_s / usual_s) ** SMOOTHING
