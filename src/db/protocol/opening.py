"""Opens a session: a socket, a login, and what was learnt about the server before. Knows nothing of statements."""

import hashlib
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from db.deadline import Deadline
from db.protocol.dial import Address, NothingInCommonError, dial
from db.protocol.login import PARAMETER_STATUS, DerivedKeys, HungUpEarlyError, Login, Message, RefusedEarlyError
from db.protocol.server_errors import ServerError
from db.protocol.transport import Transport

UNKNOWN_PARAMETER = frozenset({"08P01", "22023", "42704"})
"""What servers (42704, 22023) and poolers (08P01) answer to a startup parameter that they do not take."""


@dataclass(slots=True)
class Habits:
    """What one process has learnt about its servers; kept as long as the process, or until forgotten."""

    keys: DerivedKeys = field(default_factory=DerivedKeys)
    refuse_early: set[str] = field(default_factory=set)
    """Servers that do not take SCRAM's first message in the StartupMessage's flight."""
    hung_up: set[str] = field(default_factory=set)
    """Servers that closed the connection at the last such message without a word: it may have been any trouble."""
    refuse_parameters: set[str] = field(default_factory=set)
    """Servers that do not take the optional startup parameters."""
    refuse_curve: set[str] = field(default_factory=set)
    """Servers that took none of the usual context's curves, and have proven themselves to the one that has them all."""
    proven: dict[bytes, Sequence[Message]] = field(default_factory=dict, repr=False)
    """The ParameterStatus of the last login, by `ConnectOptions.digest`, where the next one may end in its first
    flight: the server takes SCRAM early and is no pooler. Taken out while one is under way: no failure is repeated."""

    def refused_early(self, place: str, *, in_words: bool) -> None:
        """Take note that the server let us in the ordinary way only; without a word from it, the second time."""
        if in_words or place in self.hung_up:
            self.refuse_early.add(place)
        self.hung_up.add(place)

    def forget(self) -> None:
        """Forget all: before a snapshot is taken."""
        self.keys.forget()
        self.refuse_early.clear()
        self.hung_up.clear()
        self.refuse_parameters.clear()
        self.refuse_curve.clear()
        self.proven.clear()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectOptions:
    """Who wants what from which server."""

    address: Address
    user: str
    password: str = field(repr=False)
    required: Mapping[str, str]
    """Startup parameters that the server must take: database, application_name."""
    optional: Mapping[str, str] = field(default_factory=dict)
    """Startup parameters that an older server or a pooler may refuse."""
    begins_scram: bool = True
    """Whether the server is expected to ask for SCRAM: an IAM token it takes as it is."""

    def parameters(self, *, optional: bool) -> dict[str, str]:
        """Return what the StartupMessage says."""
        return {"user": self.user, **self.required, **(self.optional if optional else {})}

    def digest(self) -> bytes:
        """Return what stands for who logs in where."""
        parts = (str(self.address), self.user, self.password, *self.required.values())
        return hashlib.sha256("\0".join(parts).encode()).digest()


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that the server has let in, or is about to."""

    transport: Transport
    address: Address
    said: Sequence[Message]
    """What the server said at the login; where that is not over, what it said at the last one."""
    login: Login | None = None
    """What is left of the login: SCRAM's last message goes out with the first flight, and is answered before it."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a login is tried."""

    early: bool
    """With SCRAM's first message in the StartupMessage's flight."""
    optional: bool
    """With the parameters that may be refused."""


def open_session(options: ConnectOptions, deadline: Deadline, habits: Habits, *, joins: bool = False) -> Opened:
    """Open a session; try the ordinary way where the short one fails. `joins`: the login may end in the first flight.

    At most three connections: with everything, without the early SCRAM message, without the optional parameters; and
    one that ends in TLS's handshake before them, where the server takes another curve.
    """
    place = str(options.address)
    early = options.begins_scram and place not in habits.refuse_early
    return _open(options, deadline, habits, Way(early, place not in habits.refuse_parameters), joins=joins)


def _open(options: ConnectOptions, deadline: Deadline, habits: Habits, way: Way, *, joins: bool = False) -> Opened:
    """Remember what was refused once the server has let us in without that: before, it may have been any trouble."""
    place = str(options.address)
    try:
        return _attempt(options, deadline, habits, way, joins=joins)
    except RefusedEarlyError as refusal:
        opened = _open(options, deadline, habits, replace(way, early=False))
        habits.refused_early(place, in_words=not isinstance(refusal, HungUpEarlyError))
    except ServerError as error:
        if error.sqlstate not in UNKNOWN_PARAMETER or not (way.optional and options.optional):
            raise
        opened = _open(options, deadline, habits, replace(way, optional=False))
        habits.refuse_parameters.add(place)
    return opened


def _attempt(options: ConnectOptions, deadline: Deadline, habits: Habits, way: Way, *, joins: bool) -> Opened:
    digest = options.digest()

    def learn(said: Sequence[Message]) -> None:
        if way.early:
            habits.hung_up.discard(str(options.address))
        if way.early and way.optional:
            habits.proven[digest] = [message for message in said if message[0] == PARAMETER_STATUS]

    sock, address = _dialled(options.address, deadline, habits)
    transport = Transport(sock, deadline)
    try:
        login = Login(transport, options.user, options.password, habits.keys, learn)
        login.begin(options.parameters(optional=way.optional), early=way.early)
        if joins and way.early and (said := habits.proven.pop(digest, None)):
            login.prove()
            return Opened(transport, address, said, login)
        return Opened(transport, address, login.finish())
    except BaseException:
        transport.close()
        raise


def _dialled(address: Address, deadline: Deadline, habits: Habits) -> tuple[socket.socket, Address]:
    """Dial, and say how: where nothing is in common, once more with every curve on offer, verified as before.

    Whoever is between us and the server can make us do so, and wins nothing but the time that it takes.
    """
    place = str(address)
    if place not in habits.refuse_curve:
        try:
            return dial(address, deadline), address
        except NothingInCommonError:
            if address.any_curve is None:
                raise
    wider = address.with_any_curve()
    sock = dial(wider, deadline)
    habits.refuse_curve.add(place)
    return sock, wider
