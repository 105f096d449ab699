"""Opens one connection: asks who logs in, within the time that is left. Knows nothing of pools."""

from collections.abc import Callable

from db import protocol
from db.credentials import Credentials
from db.deadline import Deadline
from db.dial import Address
from db.failures import connecting
from db.settings import DatabaseSettings
from db.tls import client_context


class Connector:
    """Opens connections for one environment."""

    def __init__(self, settings: DatabaseSettings, credentials: Credentials, deadline: Callable[[], Deadline]) -> None:
        self._settings = settings
        self._credentials = credentials
        self._deadline = deadline
        self._habits = protocol.Habits()

    def connect(self) -> protocol.Connection:
        """Return a new connection; raise UnavailableError's kinds where that cannot be had in time."""
        login = self._credentials.login()
        deadline = self._deadline().within(self._settings.connect_timeout_s)
        session = protocol.Session(
            address=Address(login.host, login.port, client_context(self._settings, login.host)),
            user=login.user,
            password=login.password,
            required={"database": login.database, "application_name": self._settings.application_name},
        )
        with connecting():
            return protocol.connect(session, deadline=deadline, habits=self._habits, reserve_s=self._settings.reserve_s)
