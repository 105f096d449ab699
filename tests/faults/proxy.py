"""A TCP proxy under the test's control: it delays, stops, swallows, resets, trickles, cuts, and counts flights.

    with Proxy(server.port) as proxy:
        connect(proxy.port)
        before = proxy.traffic()
        ...                                   # what is measured
        assert (proxy.traffic() - before).flights == 1
        proxy.end()                           # RST to everybody connected
        proxy.faults = lambda number: [Fault(Action.STOP, after_bytes=9)] if number == 2 else []

Knows nothing of PostgreSQL. What TLS encrypts it counts but cannot read; `TlsFront` can stand behind it.
"""

import socket
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from tests.faults.link import Link
from tests.faults.listener import LOOPBACK, Listener
from tests.faults.stream import Action, Direction, Fault
from tests.faults.traffic import Traffic

__all__ = ["Action", "Direction", "Fault", "Link", "Proxy", "Traffic"]


class Proxy:
    """Listens on a port of its own and carries each connection to `upstream_port` on 127.0.0.1."""

    def __init__(self, upstream_port: int, *, settle_s: float = 0.003) -> None:
        """Listen; a reply is held back until the client has been quiet for `settle_s` seconds.

        So what a client sends in several pieces without waiting counts as one flight.
        """
        self.upstream_port = upstream_port
        """May be changed: the next connection goes to the new one."""
        self.faults: Callable[[int], Iterable[Fault]] = lambda _number: ()
        """Called with each new connection's number, from 1; returns what shall happen to it."""
        self.links: list[Link] = []
        """Every connection so far, in order."""
        self.accepted = 0
        """How many connections were asked for, also those that nobody was there to serve."""
        self._settle_s = settle_s
        self._listener = Listener("proxy", self._serve)
        self.port = self._listener.port

    def __enter__(self) -> Self:
        """Begin to accept."""
        self._listener.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Refuse new connections and reset those that are there."""
        self.refuse()
        self.end()

    def traffic(self) -> Traffic:
        """Return what has gone over all connections so far."""
        return sum((link.traffic() for link in list(self.links)), Traffic())

    def strikes(self) -> int:
        """Return how many faults have struck so far."""
        return sum(link.strikes for link in list(self.links))

    def live(self) -> list[Link]:
        """Return the connections that have not ended."""
        return [link for link in list(self.links) if link.is_alive()]

    def inject(self, *faults: Fault) -> None:
        """Let `faults` strike each connection that is there now."""
        for link in self.live():
            link.inject(*faults)

    def end(self, action: Action = Action.RESET) -> None:
        """RESET, CLOSE or SWALLOW each connection that is there now, and wait until it has happened."""
        for link in self.live():
            link.end(action)

    def refuse(self) -> None:
        """Answer each new connection with a refusal, from now on and for good."""
        self._listener.close()

    def _serve(self, client: socket.socket) -> None:
        self.accepted += 1
        try:
            server = socket.create_connection((LOOPBACK, self.upstream_port), timeout=10)
        except OSError:
            client.close()
            return
        for end in (client, server):
            end.settimeout(None)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link = Link(client, server, self.faults(len(self.links) + 1), self._settle_s)
        self.links.append(link)
        link.start()
