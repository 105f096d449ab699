"""Sends and reads whole flights within the deadline; notices when the connection is gone, and gives it up for good.

Knows nothing of statements and transactions.
"""

from collections.abc import Iterable, Sequence

from db.deadline import UNBOUNDED, Deadline
from db.protocol import wire
from db.protocol.cancel import cancel
from db.protocol.login import Message, error_fields
from db.protocol.opening import Opened
from db.protocol.replies import Context, Replies
from db.protocol.riders import IDLE
from db.protocol.server_errors import (
    DisconnectedError,
    Fields,
    NotLoggedInError,
    ServerError,
    TookTooLongError,
)
from db.protocol.transport import Transport, never_later

ERROR = b"E"[0]
CANCELLED: Fields = {"S": "ERROR", "V": "ERROR", "C": "57014", "M": "canceling statement due to the client's deadline"}
"""What the server would have said, had it been heard."""


class Flights(Replies):
    """A session on a transport, as long as the transport lives."""

    def __init__(self, opened: Opened, reserve_s: float) -> None:
        """Take over what was opened."""
        super().__init__(opened.transport)
        self.deadline: Deadline = UNBOUNDED
        """By when each flight must have ended; set anew at each borrow."""
        self._address = opened.address
        self._reserve_s = reserve_s
        self._login = opened.login
        self._hear(opened.said)

    def _hear(self, said: Iterable[Message]) -> None:
        for code, body in said:
            self._handlers[code](body, Context(None))

    def finish_login(self) -> None:
        """End the login where that was left to the first flight; NotLoggedInError where the server refuses it."""
        login, self._login = self._login, None
        if login is None:
            return
        try:
            self._hear(login.finish())
        except ServerError as error:
            raise NotLoggedInError(error.fields) from error

    # --- a flight ---

    def send(self, messages: bytes, deadline: Deadline | None = None) -> None:
        """Send a flight; DeadlineExceededError, and nothing is sent, where no time is left."""
        transport = self.transport()
        bound = deadline or self.deadline
        bound.require("ask the database")
        self.bound_flight(transport, bound)
        transport.write(messages)
        try:
            transport.flush()
        except DisconnectedError as error:
            raise self._lost(error, ()) from error
        except BaseException:
            self._give_up()
            raise

    def bound_flight(self, transport: Transport, deadline: Deadline) -> None:
        """Say until when the flight may take, and what happens then."""
        transport.deadline = deadline
        transport.late = self._stop_statement

    def read(self, contexts: Sequence[Context]) -> None:
        """Read what is answered to a flight, up to one ReadyForQuery; each context keeps its own error."""
        try:
            if self._login:
                self.finish_login()
            self.read_replies(contexts)
        except DisconnectedError as error:
            raise self._lost(error, contexts) from error
        except BaseException:
            self._give_up()  # half a reply has been read: nobody may read the rest as his own
            raise

    def with_reserve(self) -> Deadline:
        """Return the deadline, or half of the reserve from now where that is later: time to clean up."""
        grace = Deadline.after(self._reserve_s / 2, self.deadline.clock)
        return max(self.deadline, grace, key=Deadline.remaining_s)

    def _stop_statement(self) -> Deadline:
        """Have the server stop what it does, once; return until when its answer is waited for."""
        transport = self.transport()
        transport.late = never_later
        grace = Deadline.after(self._reserve_s / 2, self.deadline.clock)
        if not cancel(transport.socket, self._address, self._backend_key_data or b"", grace):
            raise TookTooLongError("the deadline passed and the server could not be asked to stop")
        return grace

    # --- the end ---

    def _lost(self, error: DisconnectedError, contexts: Sequence[Context]) -> DisconnectedError:
        """Give the connection up; return the error that says why, in the server's words where it had any."""
        fields = CANCELLED if isinstance(error, TookTooLongError) else error.fields or self._last_words(contexts)
        self._give_up()
        return type(error)(str(error), fields)

    def _last_words(self, contexts: Sequence[Context]) -> Fields:
        for context in contexts:
            if isinstance(context.error, ServerError) and context.error.is_fatal:
                return context.error.fields
        try:
            said = self.transport().unasked()
        except DisconnectedError:
            return {}
        return next((error_fields(body) for code, body in said if code == ERROR), {})

    def _give_up(self) -> None:
        """Close without a word; the server rolls back by itself."""
        if self._sock is not None:
            self._sock.close()
        self._sock = self._usock = self._login = None
        self._transaction_status = IDLE

    def close(self) -> None:
        """Say goodbye, without waiting, and close; closing twice, or what is broken, is no error."""
        if self._sock is not None and self._login is None:
            self._sock.send_if_possible(wire.TERMINATE)
        self._give_up()

    def is_alive(self) -> bool:
        """Say, without a flight, whether an idle connection still serves; take in what the server said meanwhile.

        A peer that vanished without a word (a half-open connection) cannot be noticed like this.
        """
        if self._sock is None:
            return False
        try:
            self._take_news()
        except DisconnectedError:
            self._give_up()
        return self._sock is not None

    def _take_news(self) -> None:
        """Hear all of it: a server that crashes says so in a warning, and closes behind that."""
        transport = self.transport()
        while transport.has_news() and (said := transport.unasked()):
            self._hear(said)
