"""What went over a proxied connection, or over many, in numbers that do not depend on the machine."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Traffic:
    """What went over a link, or over many."""

    flights: int = 0
    """Bursts of client bytes that the server answered: network round trips, a TLS handshake's included."""
    bursts: int = 0
    """Bursts of client bytes, also those that nobody waited for (Terminate) or answered."""
    to_server: int = 0
    """Bytes."""
    to_client: int = 0
    """Bytes."""
    connections: int = 0

    def __add__(self, other: "Traffic") -> "Traffic":
        """Return both together."""
        return Traffic(*(getattr(self, name) + getattr(other, name) for name in self.__slots__))

    def __sub__(self, other: "Traffic") -> "Traffic":
        """Return what came after `other`."""
        return Traffic(*(getattr(self, name) - getattr(other, name) for name in self.__slots__))
