"""Opens one connection: asks who logs in, and who else where that is refused, within the time that is left.

Knows nothing of pools.
"""

from collections.abc import Callable, Iterator, Mapping

from db.application import completed
from db.credentials.identity import Credentials, Login
from db.credentials.refusals import Refusals
from db.deadline import Deadline
from db.errors import LoginRefusedError, SecretError, SlotwiseError, UnreachableError
from db.failures import cause_to_show, connect_failure
from db.masking import without_frames
from db.protocol.connection import ConnectOptions, Habits, sqlstate_behind, sqlstate_of
from db.protocol.dial import Address
from db.protocol.time_limit import limit_ms
from db.settings import DatabaseSettings, Mode, TlsNegotiation
from db.startup import optional_parameters, queue_s, required_parameters, with_begin
from db.statements import watched
from db.statements.watched import WatchedConnection
from db.tls import client_context

WRONG_PASSWORD = frozenset({"28P01", "28000"})
"""invalid_password and invalid_authorization_specification: another version of the secret may be right."""


class Connector:
    """Opens connections for one environment."""

    def __init__(
        self,
        settings: DatabaseSettings,
        credentials: Credentials,
        deadline: Callable[[], Deadline],
        startup_parameters: Callable[[], Mapping[str, str]],
    ) -> None:
        """Begin; `startup_parameters` are asked for at each connect, and left out where the server takes none."""
        self._settings = settings
        self._credentials = credentials
        self._deadline = deadline
        self._startup_parameters = startup_parameters
        self._habits = Habits()
        self._refusals = Refusals()
        self._refused_late: tuple[Login, Exception] | None = None
        """Who was let in, but for a first flight in which the server refused him after all, and with what."""
        self._name: str | None = None
        """What this environment is called on the server, from its first connect on."""

    @property
    def takes_parameters(self) -> bool:
        """Say whether the server took the startup parameters; a pooler does not."""
        return self._settings.mode is Mode.DIRECT and not self._habits.refuse_parameters

    def prepare(self, deadline: Deadline) -> None:
        """Find out who logs in and whom to trust, so that the first connect need not; opens nothing to the server.

        Raises SecretError, and ConfigurationError where the settings lead nowhere.
        """
        for login in self._credentials.logins(deadline):
            client_context(self._settings, login.host)
            return

    def forget(self) -> None:
        """Forget keys made of passwords, what servers are used to, refusals, our name: before a snapshot is taken."""
        self._credentials.forget()
        self._habits.forget()
        self._refusals = Refusals()
        self._refused_late = self._name = None

    def connect(self, *, joins: bool = False) -> WatchedConnection:
        """Return a new connection; raise UnavailableError's kinds where that cannot be had in time.

        `joins`: the login may end in the connection's first flight, and fail there with NotLoggedInError.
        """
        return self._log_in(self._deadline(), joins=joins)

    def was_refused_late(self, login: Login, error: Exception) -> None:
        """Take note that `login` was refused in a connection's first flight: the next connect passes over it."""
        self._refused_late = (login, without_frames(error))

    def _log_in(self, deadline: Deadline, *, joins: bool) -> WatchedConnection:
        """Try each login that the credentials know, once; after that stay away for a while."""
        late, self._refused_late = self._refused_late, None
        begun = self._refusals.require_pause_is_over()
        refused: list[str] = []
        cause: BaseException = LoginRefusedError("nobody to log in as")
        for login in _as_long_as_known(self._credentials.logins(deadline), refused):
            try:
                return self._attempt(login, deadline, late, joins=joins)
            except LoginRefusedError as error:
                cause = error.__cause__ or error
                if sqlstate_of(cause) not in WRONG_PASSWORD:
                    raise
                refused.append(str(login))
        reason = f"refused, SQLSTATE {sqlstate_of(cause)}: {'; '.join(refused)}"
        raise self._refusals.refused(begun, reason) from cause

    def _attempt(
        self, login: Login, deadline: Deadline, late: tuple[Login, Exception] | None, *, joins: bool
    ) -> WatchedConnection:
        """Try one login; say so where another place may be right, and not another password."""
        try:
            if late and late[0] == login:
                raise connect_failure(late[1]) from late[1]
            return self._accepted(login, self._open(login, deadline, joins=joins))
        except (LoginRefusedError, UnreachableError) as error:
            if sqlstate_behind(error) not in WRONG_PASSWORD:
                self._credentials.failed(login)
            raise

    def _open(self, login: Login, deadline: Deadline, *, joins: bool) -> WatchedConnection:
        limit = limit_ms(deadline)
        moving = {**self._startup_parameters(), "statement_timeout": str(limit)}
        options = ConnectOptions(
            address=self._address(login),
            user=login.user,
            password=login.password.reveal(),
            required=required_parameters(self._own_name(), login.database),
            optional=optional_parameters(self._settings, moving),
            begins_scram=self._settings.iam_user is None,
        )
        soon = deadline.within(self._settings.connect_timeout_s)
        try:
            connection = watched.connect(
                options,
                deadline=soon,
                habits=self._habits,
                reserve_s=self._settings.reserve_s,
                silence_s=self._settings.silence_s,
                joins=joins,
            )
        except SlotwiseError as error:
            raise without_frames(error)  # noqa: B904 - it is the same error
        except Exception as error:  # noqa: BLE001 - whatever a server's bytes lead to: frames below hold the password
            failure, cause = connect_failure(error), cause_to_show(error)
        else:
            if self.takes_parameters:
                connection.time_limit.begin_with(limit)
            return connection
        raise failure from cause

    def _own_name(self) -> str:
        self._name = self._name or completed(self._settings.application_name)
        return self._name

    def _address(self, login: Login) -> Address:
        return Address(
            login.host,
            login.port,
            client_context(self._settings, login.host),
            any_curve=lambda: client_context(self._settings, login.host, any_curve=True),
            direct_tls=self._settings.tls_negotiation is TlsNegotiation.DIRECT,
            silence_s=self._settings.silence_s,
        )

    def _accepted(self, login: Login, connection: WatchedConnection) -> WatchedConnection:
        self._refusals.accepted()
        self._credentials.accepted(login)
        connection.logged_in_as = login
        connection.with_begin = with_begin(self._settings)
        connection.queue_s = queue_s(self._settings)
        return connection


def _as_long_as_known(logins: Iterator[Login], refused: list[str]) -> Iterator[Login]:
    """Yield the logins; where the next cannot be known and others were `refused`, add the reason there, and end."""
    try:
        yield from logins
    except SecretError as error:
        if not refused:
            raise
        refused.append(str(error))
