"""One proxied connection: two sockets, two streams, one thread. Knows nothing of PostgreSQL's messages."""

import contextlib
import math
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Iterable

from tests.faults.stream import ENDINGS, Action, Direction, Fault, Stream
from tests.faults.traffic import Traffic

CHUNK = 65536


class Link(threading.Thread):
    """Carries bytes between `client` and `server`, counts flights, and lets faults strike."""

    def __init__(self, client: socket.socket, server: socket.socket, faults: Iterable[Fault], settle_s: float) -> None:
        super().__init__(daemon=True, name="link")
        self._sockets = {Direction.TO_SERVER: client, Direction.TO_CLIENT: server}
        """By direction: who sends."""
        self._streams = {direction: Stream() for direction in Direction}
        self._open = set(Direction)
        self._finished: set[Direction] = set()
        self._settle_s = settle_s
        self._orders: deque[tuple[Fault | Action, threading.Event]] = deque()
        self._waker, self._wake = socket.socketpair()
        self._ending: Action | None = None
        self._swallowing = False
        self._unanswered = False
        self._quiet_since = 0.0
        """Since when somebody has looked whether the client sends, and it has not."""
        self._recent = b""
        self._waiting_for_text: list[Fault] = []
        self._flights = self._bursts = 0
        self.strikes = 0
        """How many faults have struck."""
        self._arm(faults)

    # --- for the test ---

    def inject(self, *faults: Fault) -> None:
        """Let `faults` strike from now on."""
        for fault in faults:
            self._order(fault)

    def end(self, action: Action = Action.RESET) -> None:
        """RESET, CLOSE or SWALLOW at once; return when it has happened."""
        self._order(action)
        if action in ENDINGS:
            self.join(10)

    def _order(self, order: Fault | Action) -> None:
        """Have the thread do it, and wait until it has; a link that has ended has nothing to do."""
        done = threading.Event()
        self._orders.append((order, done))
        with contextlib.suppress(OSError):
            self._wake.send(b"!")
        while self.is_alive() and not done.wait(0.1):
            pass

    def traffic(self) -> Traffic:
        """Return what has gone over this link so far."""
        passed = {direction: stream.passed for direction, stream in self._streams.items()}
        return Traffic(
            self._flights, self._bursts, passed[Direction.TO_SERVER], passed[Direction.TO_CLIENT], connections=1
        )

    # --- the thread ---

    def run(self) -> None:
        """Carry bytes until both ends are done or a fault ends the link; an end that resets, resets the other."""
        try:
            while self._ending is None and len(self._finished) < len(Direction):
                self._turn()
        except OSError:
            self._ending = Action.RESET
        finally:
            self._close()

    def _turn(self) -> None:
        ready = self._wait()
        self._obey()
        for direction in (Direction.TO_SERVER, Direction.TO_CLIENT):  # the client first: its burst is one
            if self._sockets[direction].fileno() in ready:
                self._receive(direction)
        for direction in Direction:
            self._deliver(direction)

    def _wait(self) -> set[int]:
        poller = select.poll()
        poller.register(self._waker, select.POLLIN)
        for direction in self._open:
            poller.register(self._sockets[direction], select.POLLIN)
        self._quiet_since = min(self._quiet_since, time.monotonic())
        timeout_s = self._timeout_s()
        ready = {fd for fd, _ in poller.poll(None if timeout_s is None else timeout_s * 1000 + 1)}
        if self._waker.fileno() in ready:
            self._waker.recv(CHUNK)
        return ready

    def _timeout_s(self) -> float | None:
        if self._swallowing:
            return None
        now = time.monotonic()
        wakes = [self._streams[Direction.TO_SERVER].wakes_in_s(now), self._reply_wakes_in_s(now)]
        return min((seconds for seconds in wakes if seconds is not None), default=None)

    def _reply_wakes_in_s(self, now: float) -> float | None:
        seconds = self._streams[Direction.TO_CLIENT].wakes_in_s(now)
        if seconds is None and self._is_only_the_end_left():
            seconds = 0.0
        return seconds if seconds is None else max(seconds, self._settles_in_s(now))

    def _is_only_the_end_left(self) -> bool:
        """Say whether the server has closed and the client has not been told yet: it has sent something just before."""
        ended = Direction.TO_CLIENT not in self._open | self._finished
        return ended and self._streams[Direction.TO_CLIENT].is_empty

    def _settles_in_s(self, now: float) -> float:
        """Return the seconds until a reply may pass: what the client sends before it sees one is the same burst."""
        return max(0.0, self._quiet_since + self._settle_s - now) if self._unanswered else 0.0

    def _obey(self) -> None:
        while self._orders:
            order, done = self._orders.popleft()
            if isinstance(order, Fault):
                self._arm([order])
            else:
                self._strike(order)
            done.set()

    def _arm(self, faults: Iterable[Fault]) -> None:
        for fault in faults:
            if fault.once_sent:
                self._waiting_for_text.append(fault)
                self._recent = b""  # what was sent before does not count
            else:
                self._streams[fault.direction].arm([fault])

    def _receive(self, direction: Direction) -> None:
        chunk = self._read(direction)
        if not chunk:
            self._open.discard(direction)
        elif not self._swallowing:
            now = time.monotonic()
            if direction is Direction.TO_SERVER:
                self._client_sent()
            self._streams[direction].arrived(chunk, now)

    def _read(self, direction: Direction) -> bytes:
        source = self._sockets[direction]
        try:
            chunk = source.recv(CHUNK)
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)  # or Nagle makes two bursts of one
            return chunk  # noqa: TRY300 - all three lines may fail
        except OSError:
            if self._swallowing:
                return b""
            raise

    def _client_sent(self) -> None:
        self._quiet_since = math.inf
        if not self._unanswered:
            self._unanswered = True
            self._bursts += 1

    def _deliver(self, direction: Direction) -> None:
        stream, now = self._streams[direction], time.monotonic()
        if self._swallowing or (direction is Direction.TO_CLIENT and self._goes_on(now)):
            return
        while (piece := stream.pass_on(now)) or (fault := stream.struck()):
            if piece:
                self._send(direction, piece)
            elif fault and self._strike(fault.action):
                return
        if stream.is_empty and direction not in self._open:
            self._finish(direction)

    def _goes_on(self, now: float) -> bool:
        """Say whether the client's burst may not be over: it has sent a moment ago, or something is here by now."""
        return self._settles_in_s(now) > 0 or (self._unanswered and self._is_heard())

    def _is_heard(self) -> bool:
        if Direction.TO_SERVER not in self._open:
            return False
        poller = select.poll()
        poller.register(self._sockets[Direction.TO_SERVER], select.POLLIN)
        return bool(poller.poll(0))

    def _send(self, direction: Direction, piece: bytes) -> None:
        if direction is Direction.TO_CLIENT and self._unanswered:
            self._unanswered = False
            self._flights += Direction.TO_SERVER in self._open  # who has gone waits for no answer: TLS says goodbye too
        self._sockets[_opposite(direction)].sendall(piece)
        if direction is Direction.TO_SERVER:
            self._look_for_text(piece)

    def _look_for_text(self, piece: bytes) -> None:
        seen = self._recent + piece
        ready = [fault for fault in self._waiting_for_text if fault.once_sent in seen]
        for fault in ready:
            self._waiting_for_text.remove(fault)
            self._streams[fault.direction].arm([fault])
        self._recent = seen[-100:]

    def _finish(self, direction: Direction) -> None:
        """All has passed and there will be no more: say so to the other end, once."""
        if direction not in self._finished:
            self._finished.add(direction)
            self._sockets[_opposite(direction)].shutdown(socket.SHUT_WR)

    def _strike(self, action: Action) -> bool:
        """Do what concerns the whole link; say whether nothing may pass any more."""
        self.strikes += 1
        if action is Action.SWALLOW:
            self._swallowing = True
        elif action in ENDINGS:
            self._ending = action
        return self._swallowing or self._ending is not None

    def _close(self) -> None:
        for end in self._sockets.values():
            if self._ending is Action.RESET:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.close()
        self._waker.close()
        self._wake.close()


def _opposite(direction: Direction) -> Direction:
    return Direction.TO_CLIENT if direction is Direction.TO_SERVER else Direction.TO_SERVER
