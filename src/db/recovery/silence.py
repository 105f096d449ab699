"""A connection that notices when its server is gone without a word (a half-open connection), within a bound.

Each flight begins with a question that the server answers at once, whatever the statement behind it takes. It is part
of the flight and costs no round trip.
"""

from collections.abc import Callable

from db.deadline import Deadline
from db.protocol import wire
from db.protocol.connection import Connection
from db.protocol.opening import Opened
from db.protocol.riders import IDLE
from db.protocol.server_errors import DisconnectedError
from db.protocol.transport import Transport

IMPATIENCE = 1 / 3
"""The share of the time left after which it is asked what keeps an answer, where that is less than the usual."""
SHORTEST_PATIENCE_S = 0.05
SIGN_OF_LIFE = wire.parse("") + wire.FLUSH
"""Asks for a ParseComplete now: a statement that does nothing, and Flush."""


class AttentiveConnection(Connection):
    """A connection whose server must give a sign of life in each flight."""

    def __init__(self, opened: Opened, *, reserve_s: float, silence_s: float) -> None:
        """Take over what was opened; a server without a sign of life for `silence_s` is gone."""
        super().__init__(opened, reserve_s)
        self._silence_s = silence_s
        self.queue_s = 0.0
        """How much longer a flight that begins a transaction may take: behind a pooler it waits for a session."""
        self.on_silence: Callable[[], float] | None = None
        """Asked, where it is set, each time that the answer has not come in that time, instead of a sign of life; it
        raises what ends the waiting, or says after how many seconds at most to ask again."""

    def send(self, messages: bytes, deadline: Deadline | None = None) -> None:
        """Send a flight that asks for a sign of life first."""
        super().send(messages if self.on_silence else SIGN_OF_LIFE + messages, deadline)

    def bound_flight(self, transport: Transport, deadline: Deadline) -> None:
        """Wait for a sign of life first, then for the rest."""
        super().bound_flight(transport, deadline)
        heard, overdue = transport.received_bytes, transport.late

        def silent() -> Deadline:
            if deadline.remaining_s() > 0:
                if self.on_silence:
                    return deadline.within(min(self.on_silence(), self._patience_s(deadline)))
                if transport.received_bytes == heard:
                    raise DisconnectedError(f"the server gave no sign of life for {self._silence_s} s")
            transport.late = overdue
            return deadline

        transport.deadline = deadline.within(self._patience_s(deadline))
        transport.late = silent

    def _patience_s(self, deadline: Deadline) -> float:
        """Return for how long nothing need come."""
        if self.on_silence:
            return min(self._silence_s, max(deadline.remaining_s() * IMPATIENCE, SHORTEST_PATIENCE_S))
        return self._silence_s + (self.queue_s if self._transaction_status == IDLE else 0.0)

    def require_alive(self) -> None:
        """Raise DisconnectedError, with the server's last words, where the socket shows that the connection is gone.

        It costs no flight, and cannot notice a half-open connection.
        """
        try:
            self._take_news()
        except DisconnectedError as error:
            raise self._lost(error, ()) from error
