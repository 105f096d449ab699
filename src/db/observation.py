"""What happened, as frozen data, to whoever wants to know. Knows nothing of metrics or logs."""

from dataclasses import dataclass, field
from typing import Protocol

from db.statements.fingerprint import fingerprint, normalised


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """What a borrow had to do with the slots that all environments share."""

    used: int | None = None
    """How many were taken when the server was last counted in this borrow, by the limit that is met first; None where
    it was not counted."""
    usable: int | None = None
    """How many that limit allows."""
    refusals: int = 0
    """How often the server had none left."""
    waited_ms: float = 0.0
    """How long was waited for one between the attempts."""
    released: str | None = None
    """Why the connection was closed when it came back (`db.fleet.policy.Verdict`); None where it was kept."""
    lease_ended: bool = False
    """The warm connection had idled for so long that the server has taken its slot back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Borrow:
    """One connection's trip: asked for, had, given back."""

    waited_ms: float
    """From asking until the connection was there, or until that failed; connecting included."""
    connect_ms: float | None = None
    """How long opening the connection took; None where a warm one served."""
    held_ms: float = 0.0
    """From having the connection to giving it back."""
    failure: str | None = None
    """What the borrow ended with: `SlotwiseError.kind`, `statement` or `handler`; None for none."""
    slots: Slots = field(default_factory=Slots)
    """What the borrow had to do with the fleet's slots."""

    @property
    def opened(self) -> bool:
        """Say whether a connection was opened for this borrow."""
        return self.connect_ms is not None

    @property
    def reused(self) -> bool:
        """Say whether a warm connection served this borrow."""
        return self.connect_ms is None and self.held_ms > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakedBorrow:
    """A connection that nobody gave back; it was taken back, rolled back, at the end of the invocation."""

    call_site: str
    """The line that borrowed it, as `file:line function`."""
    held_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """Work, or a single flight, that is about to be run again, since nothing of it can have been committed."""

    kind: str
    """Why: `SlotwiseError.kind`."""
    wait_ms: float
    """How long until then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A statement of which there is something to tell; none of its values."""

    statement: str = field(repr=False)
    """As it was sent, with placeholders; what is in quotes in it may be a value all the same: show `text`."""

    @property
    def fingerprint(self) -> str:
        """The same for all statements that differ in values, or in how many of them there are."""
        return fingerprint(self.statement)

    @property
    def text(self) -> str:
        """The statement with every value left out."""
        return normalised(self.statement)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin(Told):
    """A statement that ties the client to one session of a pooler."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowStatement(Told):
    """A statement that took longer than it may."""

    duration_ms: float
    """From sending it until its rows were there, the way included."""
    rows: int | None = None
    """How many it returned or changed; None where it does not say."""
    failure: str | None = None
    """The SQLSTATE that it ended with, as 57014 at the deadline; None for none."""


class Observer(Protocol):
    """Receives the facts, once each, in the borrowing thread; must not raise."""

    def borrowed(self, borrow: Borrow) -> None:
        """Take note of a borrow that has ended."""

    def leaked(self, leaked: LeakedBorrow) -> None:
        """Take note of a borrow that the handler did not end."""

    def repeated(self, repeat: Repeat) -> None:
        """Take note of work that is run again."""

    def slow(self, slow: SlowStatement) -> None:
        """Take note of a statement that took too long."""

    def pins(self, pin: Pin) -> None:
        """Take note of a statement that no pooler can share a session for."""


class Silence:
    """The Observer that is there when nobody looks."""

    def borrowed(self, borrow: Borrow) -> None:
        """Forget the borrow."""

    def leaked(self, leaked: LeakedBorrow) -> None:
        """Forget the borrow."""

    def repeated(self, repeat: Repeat) -> None:
        """Forget the repeat."""

    def slow(self, slow: SlowStatement) -> None:
        """Forget the statement."""

    def pins(self, pin: Pin) -> None:
        """Forget the statement."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolState:
    """What an environment's pool holds at a moment."""

    kind: str
    """The pool's class: `QueuePool` or `NullPool`."""
    size: int
    """How many connections it may keep."""
    idle: int
    borrowed: int
