"""Who logs in: the application and the monitor, by their secrets or by IAM, and whether their passwords are right."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from sqlalchemy import text

from db import (
    Database,
    DatabaseSettings,
    Deadline,
    FixedCredentials,
    Login,
    LoginRefusedError,
    SaturatedError,
    SlotwiseError,
)
from db.connector import WRONG_PASSWORD
from db.credentials.api import ApiSource
from db.credentials.calls import Calls
from db.credentials.contents import login_in
from db.credentials.stages import Stage
from db.protocol.scram import verifier
from db.protocol.server_errors import sqlstate_behind
from db.settings import Mode
from provision.facts import RoleFacts
from provision.plan import Plan

SALT_BYTES = 16
TRIAL_S = 10.0
"""How long a login is tried: a pooler may let a client in, and wait for a connection of its own for minutes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A role, its password, and what a login with that has shown."""

    role: str
    verifier: str | None = field(default=None, repr=False)
    """The password's; None where it has none: it logs in by IAM."""
    is_refused: bool = False
    """Whether the role is missing, or has another password."""
    untried: str | None = None
    """Why nobody can say that."""

    def verifier_for(self, role: RoleFacts | None) -> str | None:
        """Return what the password of the `role` that is there has to be made; None where it is left alone."""
        return self.verifier if role is None or self.is_refused else None

    def doubts_about(self, role: RoleFacts | None) -> list[str]:
        """Return a warning where the `role` that is there keeps a password which may be wrong."""
        if role is None or self.untried is None:
            return []
        return [f"{self.role} keeps its password, and whether that is the secret's is not known: {self.untried}"]


class Applicant:
    """Somebody, as he will log in."""

    def __init__(self, settings: DatabaseSettings, deadline: Deadline) -> None:
        """Fetch the secret, where there is one; raise SecretError where it cannot be had."""
        self._settings = settings
        self._deadline = deadline
        self._secret = ApiSource(settings.secret_id) if settings.secret_id else None
        self._login = self._login_of(Stage.CURRENT)
        self.role = self._login.user if self._login else settings.iam_user or ""
        self.database = self._login.database if self._login else None

    def _login_of(self, stage: Stage) -> Login | None:
        """Return the login that the secret has at `stage`; None where it has none, or there is no secret."""
        if self._secret is None:
            return None
        self._deadline.require(f"read secret {self._secret.secret_id}")
        answer = self._secret.fetch(stage, self._deadline, Calls(), fresh=True)
        return login_in(self._secret.secret_id, answer, self._settings.overrides()) if answer else None

    def account(self) -> Account:
        """Return the role, its password, and whether that has to be set.

        Only what is refused is set: a rotation may be under way, and the password before it must not be put back
        because a pooler is away.
        """
        if self._login is None:
            return Account(role=self.role)
        try:
            is_refused, untried = not any(map(self._logs_in, self._versions())), None
        except SlotwiseError as error:
            is_refused, untried = False, f"{error.kind}: {error}"
        made = verifier(self._login.password.reveal(), _salt())
        return Account(role=self.role, verifier=made, is_refused=is_refused, untried=untried)

    def _versions(self) -> Iterator[Login | None]:
        """Yield AWSCURRENT, AWSPENDING, and AWSCURRENT again, to be set then, where a rotation has ended meanwhile."""
        yield self._login
        yield self._login_of(Stage.PENDING)
        newest = self._login_of(Stage.CURRENT)
        if newest and newest != self._login and newest.user == self.role:
            self._login = newest
            yield newest

    def _logs_in(self, login: Login | None) -> bool:
        """Say whether the server takes this login; raise SlotwiseError where it does not come to that."""
        if login is None:
            return False
        database = Database(self._settings, credentials=FixedCredentials(login))
        left_s = self._deadline.within(TRIAL_S).remaining_s()
        try:
            with database.invocation(1000 * left_s), database.autocommit() as connection:
                connection.execute(text("select 1"))
        except LoginRefusedError as error:
            if sqlstate_behind(error) in WRONG_PASSWORD:
                return False
            raise  # a pooler may know no such database, and has not looked at the password
        except SaturatedError:
            return True  # the password comes before the role's slots
        return True


def _salt() -> bytes:
    return secrets.token_bytes(SALT_BYTES)


def application_settings(owner: DatabaseSettings, plan: Plan) -> DatabaseSettings:
    """Return the settings with which the application logs in, where `owner` logs in with his."""
    host, port = plan.application_host or owner.host, plan.application_port or owner.port
    way = replace(owner, host=host, port=port, mode=plan.mode)
    return _as(way, plan.application_secret_id, plan.application_user)


def monitor_settings(owner: DatabaseSettings, plan: Plan) -> DatabaseSettings | None:
    """Return those of the monitor; None where it has no login of its own.

    It looks at the server itself, whatever the application goes through: a pooler's sessions are not the clients'.
    """
    way = replace(owner, mode=Mode.DIRECT)
    return _as(way, plan.monitor_secret_id, plan.monitor_user) if plan.has_monitor else None


def _as(way: DatabaseSettings, secret_id: str, iam_user: str) -> DatabaseSettings:
    """Return the settings of somebody else who goes the same way, once, and waits for no slot."""
    return replace(way, secret_id=secret_id or None, iam_user=iam_user or None, url=None, pool_size=0, slot_wait_s=0.0)
