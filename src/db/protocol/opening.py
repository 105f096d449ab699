"""Opens a session: a socket, a login, and what was learnt about the server before. Knows nothing of statements."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from db.deadline import Deadline
from db.protocol.dial import Address, dial
from db.protocol.login import DerivedKeys, Login, Message, RefusedEarlyError
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
    refuse_parameters: set[str] = field(default_factory=set)
    """Servers that do not take the optional startup parameters."""

    def forget(self) -> None:
        """Forget all: before a snapshot is taken."""
        self.keys.forget()
        self.refuse_early.clear()
        self.refuse_parameters.clear()


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
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

    def parameters(self, habits: Habits) -> dict[str, str]:
        """Return what the StartupMessage says."""
        optional = {} if str(self.address) in habits.refuse_parameters else self.optional
        return {"user": self.user, **self.required, **optional}


def open_session(session: Session, deadline: Deadline, habits: Habits) -> tuple[Transport, list[Message]]:
    """Return a transport that is logged in, and what the server said; try the ordinary way where the short one fails.

    At most three connections: with everything, without the early SCRAM message, without the optional parameters.
    """
    place = str(session.address)
    try:
        return _attempt(session, deadline, habits, early=session.begins_scram and place not in habits.refuse_early)
    except RefusedEarlyError:
        habits.refuse_early.add(place)
        return open_session(session, deadline, habits)
    except ServerError as error:
        if error.sqlstate not in UNKNOWN_PARAMETER or place in habits.refuse_parameters or not session.optional:
            raise
        habits.refuse_parameters.add(place)
        return open_session(session, deadline, habits)


def _attempt(session: Session, deadline: Deadline, habits: Habits, *, early: bool) -> tuple[Transport, list[Message]]:
    transport = Transport(dial(session.address, deadline), deadline)
    try:
        login = Login(transport, session.user, session.password, habits.keys)
        login.begin(session.parameters(habits), early=early)
        return transport, login.finish()
    except BaseException:
        transport.close()
        raise
