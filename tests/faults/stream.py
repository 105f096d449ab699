"""One direction of a proxied connection: what may pass now, and which fault strikes at which byte.

Pure: bytes in, bytes out, time is an argument. Knows nothing of sockets.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto


class Direction(Enum):
    """Who sends."""

    TO_SERVER = auto()
    TO_CLIENT = auto()


class Action(Enum):
    """What a fault does when it strikes."""

    RESET = auto()
    """RST to both ends (SO_LINGER 0)."""
    CLOSE = auto()
    """FIN to both ends."""
    STOP = auto()
    """This direction passes nothing more; both sockets stay open."""
    SWALLOW = auto()
    """Both directions vanish, FIN and RST too: the link is half-open."""
    TRICKLE = auto()
    """This direction passes one byte every `seconds`."""
    DELAY = auto()
    """What this direction receives passes `seconds` later."""


ENDINGS = frozenset({Action.RESET, Action.CLOSE})


@dataclass(frozen=True, slots=True)
class Fault:
    """`action` strikes when more than `after_bytes` bytes would pass in `direction`; those bytes still pass."""

    action: Action
    direction: Direction = Direction.TO_CLIENT
    after_bytes: int = 0
    once_sent: bytes = b""
    """Bytes that the client must have sent first, in clear; `after_bytes` counts from then."""
    seconds: float = 0.0
    """For TRICKLE and DELAY."""


@dataclass(slots=True)
class _Armed:
    fault: Fault
    at: int


@dataclass(slots=True)
class Stream:
    """The bytes of one direction, from arrival to passing."""

    passed: int = 0
    """Bytes that have gone through."""
    _waiting: bytearray = field(default_factory=bytearray)
    _arrivals: list[tuple[float, int]] = field(default_factory=list)
    """When, and how many bytes; only as long as they wait."""
    _armed: list[_Armed] = field(default_factory=list)
    _stopped: bool = False
    _delay_s: float = 0.0
    _pace_s: float = 0.0
    _next_at: float = 0.0

    def arm(self, faults: Iterable[Fault]) -> None:
        """Let `faults` strike, counted from the bytes that have passed by now."""
        self._armed += [_Armed(fault, self.passed + fault.after_bytes) for fault in faults]

    def arrived(self, chunk: bytes, now: float) -> None:
        """Take what the sender sent at `now`."""
        self._waiting += chunk
        self._arrivals.append((now, len(chunk)))

    def struck(self) -> Fault | None:
        """Return, once, the fault that strikes before the next waiting byte; its effect on this stream has begun."""
        ripe = [armed for armed in self._armed if armed.at <= self.passed]
        if not (ripe and self._waiting):
            return None
        self._armed.remove(ripe[0])
        self._begin(ripe[0].fault)
        return ripe[0].fault

    def _begin(self, fault: Fault) -> None:
        match fault.action:
            case Action.STOP:
                self._stopped = True
            case Action.TRICKLE:
                self._pace_s = fault.seconds
            case Action.DELAY:
                self._delay_s = fault.seconds

    def pass_on(self, now: float) -> bytes:
        """Return the bytes that pass at `now`; they are gone from here."""
        count = self._allowed(now)
        piece = bytes(self._waiting[:count])
        del self._waiting[:count]
        self.passed += count
        self._forget_arrivals(count)
        if count and self._pace_s:
            self._next_at = now + self._pace_s
        return piece

    def _allowed(self, now: float) -> int:
        if self._stopped:
            return 0
        ripe = sum(count for at, count in self._arrivals if at + self._delay_s <= now)
        if self._pace_s:
            ripe = min(ripe, 1 if self._next_at <= now else 0)
        return max(0, min([ripe, *(armed.at - self.passed for armed in self._armed)]))

    def _forget_arrivals(self, count: int) -> None:
        while count and self._arrivals:
            at, size = self._arrivals[0]
            if size > count:
                self._arrivals[0] = (at, size - count)
                return
            count -= size
            del self._arrivals[0]

    @property
    def is_empty(self) -> bool:
        """Say whether all that arrived has passed."""
        return not self._waiting

    def wakes_in_s(self, now: float) -> float | None:
        """Return the seconds until something may pass by itself; None where nothing will."""
        if self._stopped or not self._arrivals:
            return None
        return max(0.0, self._arrivals[0][0] + self._delay_s - now, self._next_at - now if self._pace_s else 0.0)
