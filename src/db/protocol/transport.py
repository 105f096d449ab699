"""A socket on which nothing waits longer than its deadline: plain or TLS, writing and reading.

Also the file object that pg8000 writes its messages to. Knows message frames, not their meaning.
"""

import math
import select
import socket
import ssl
from collections.abc import Callable, Container
from struct import Struct

from db.clock import DAY_S
from db.deadline import UNBOUNDED, Deadline
from db.protocol.server_errors import DisconnectedError, TookTooLongError

CHUNK_BYTES = 1 << 16
FRAME_BYTES = 5
LONGEST_POLL_S = DAY_S
"""poll() counts milliseconds in 32 bits; what takes longer is polled for again."""
_frame = Struct("!Bi").unpack_from

_WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError, InterruptedError)


def never_later() -> Deadline:
    """Grant no more time."""
    raise TookTooLongError("the server did not answer before the deadline")


class Transport:
    """One connection's bytes, out and in."""

    def __init__(self, sock: socket.socket, deadline: Deadline = UNBOUNDED) -> None:
        sock.setblocking(False)  # noqa: FBT003 - the socket's own signature
        self.socket = sock
        self.deadline = deadline
        self.late: Callable[[], Deadline] = never_later
        """Asked when the deadline passes while waiting: returns the deadline from then on, or raises."""
        self.received_bytes = 0
        """All that came so far."""
        self._out = bytearray()
        self.unread = b""
        self._at = 0
        self._chunks: list[bytes] = []
        self._chunk_bytes = 0
        self._pending: Callable[[], int] = sock.pending if isinstance(sock, ssl.SSLSocket) else int
        """How many bytes TLS has decrypted already: the socket does not show them."""
        self._reader = _poll(sock, select.POLLIN)
        self._writer = _poll(sock, select.POLLIN | select.POLLOUT)
        self._listener = _poll(sock, select.POLLIN | getattr(select, "POLLRDHUP", 0))

    # --- writing ---

    def write(self, data: bytes) -> None:
        """Add to what the next flush sends."""
        self._out += data

    def flush(self) -> None:
        """Send what was written; take in what arrives meanwhile, so that neither side's full buffer stops both."""
        if not self._out:
            return
        data = bytes(self._out)
        self._out.clear()
        if (sent := self._send(data)) < len(data):
            rest = memoryview(data)[sent:]
            while rest:
                rest = rest[self._send(rest) :]

    def send_if_possible(self, data: bytes) -> None:
        """Send without waiting, for a farewell; whether it arrives does not matter."""
        try:
            self.socket.send(data)
        except OSError:
            return

    def _send(self, data: bytes | memoryview) -> int:
        try:
            return self.socket.send(data)
        except _WOULD_BLOCK:
            if self._wait(self._writer) & select.POLLIN:
                self._take_in()
            return 0
        except OSError as error:
            raise DisconnectedError(f"the connection broke while writing: {error}") from error

    # --- reading ---

    def message(self, skipping: Container[int] = ()) -> tuple[int, bytes]:
        """Return the next message, its code and its body, after those of the codes in `skipping`."""
        while True:
            at = self._at
            if len(self.unread) - at < FRAME_BYTES:
                self._fill(FRAME_BYTES)
                at = 0
            code, length = _frame(self.unread, at)
            end = at + 1 + length
            if end > len(self.unread):
                self._fill(1 + length)
                at, end = 0, 1 + length
            self._at = end
            if code not in skipping:
                return code, self.unread[at + FRAME_BYTES : end]

    def next_is(self, wanted: int) -> int | None:
        """Pass over the next message where its code is `wanted` and it is here; return where in `unread` its body is.

        That is behind the count of 2 bytes with which a row begins.
        """
        unread, at = self.unread, self._at
        if len(unread) - at < FRAME_BYTES:
            return None
        code, length = _frame(unread, at)
        if code != wanted or at + length >= len(unread):
            return None
        self._at = at + 1 + length
        return at + FRAME_BYTES + 2

    def read(self, size: int) -> bytes:
        """Return exactly `size` bytes."""
        self._fill(size)
        self._at = size
        return self.unread[:size]

    def _fill(self, size: int) -> None:
        """Have at least `size` unread bytes in front; what has come is kept should waiting end in an error."""
        unread = len(self.unread) - self._at
        while unread + self._chunk_bytes < size:
            self._await_input()
            self._take_in()
        is_read = self._at == len(self.unread)
        self.unread = self._chunks[0] if is_read and len(self._chunks) == 1 else self._joined()
        self._at = self._chunk_bytes = 0
        self._chunks.clear()

    def _joined(self) -> bytes:
        return b"".join([self.unread[self._at :], *self._chunks])

    def _await_input(self) -> None:
        if not self._pending():
            self._wait(self._reader)

    def _take_in(self) -> bool:
        """Take what the socket has now; say whether that was anything. TLS may need to write first."""
        try:
            chunk = self.socket.recv(CHUNK_BYTES)
        except _WOULD_BLOCK:
            return False
        except OSError as error:
            raise DisconnectedError(f"the connection broke while reading: {error}") from error
        if not chunk:
            raise DisconnectedError("the server closed the connection")
        self._chunks.append(chunk)
        self._chunk_bytes += len(chunk)
        self.received_bytes += len(chunk)
        return True

    def _wait(self, poller: select.poll) -> int:
        """Return the events for which `poller` woke; ask for more time where the deadline passes first."""
        while True:
            events = poller.poll(math.ceil(min(self.deadline.remaining_s(), LONGEST_POLL_S) * 1000))
            if events:
                return events[0][1]
            if not self.deadline.remaining_s():
                self.deadline = self.late()

    # --- while nothing is asked ---

    def has_news(self) -> bool:
        """Say, without waiting, whether the server closed the connection or has said something unasked."""
        return self._at < len(self.unread) or bool(self._chunks) or bool(self._listener.poll(0))

    def unasked(self) -> list[tuple[int, bytes]]:
        """Return the whole messages that are here without waiting; DisconnectedError where it ends without one."""
        try:
            while self._take_in():
                pass
        except DisconnectedError:
            if not self._whole_message_is_here():
                raise
        messages = []
        while self._whole_message_is_here():
            messages.append(self.message())
        return messages

    def _whole_message_is_here(self) -> bool:
        self._fill(0)
        return len(self.unread) >= FRAME_BYTES and len(self.unread) > _frame(self.unread, 0)[1]

    def close(self) -> None:
        """Close the socket; nothing that was sent or received is waited for."""
        self.socket.close()


def _poll(sock: socket.socket, events: int) -> select.poll:
    poller = select.poll()
    poller.register(sock, events)
    return poller
