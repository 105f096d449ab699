"""Who logs in: the application and the monitor, by their secrets or by IAM, and whether their passwords are right."""

import secrets
from dataclasses import dataclass, field, replace

from sqlalchemy import text

from db import Database, DatabaseSettings, Deadline, FixedCredentials, Login, SaturatedError, SlotwiseError
from db.credentials.api import ApiSource
from db.credentials.calls import Calls
from db.credentials.secret import login_in
from db.credentials.stages import Stage
from db.protocol.scram import verifier
from db.settings import Mode
from provision.plan import Plan

SALT_BYTES = 16


@dataclass(frozen=True, slots=True)
class Account:
    """A role, and what its password has to be made."""

    role: str
    verifier: str | None = field(default=None, repr=False)
    """None where its password is right already, or it has none: it logs in by IAM."""


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
        """Return the role, with a new password where it does not log in.

        What works is left alone: a rotation may be under way, and the password before it must not be put back.
        """
        if self._login is None or self._logs_in(self._login) or self._logs_in(self._login_of(Stage.PENDING)):
            return Account(self.role)
        return Account(self.role, verifier(self._login.password.reveal(), secrets.token_bytes(SALT_BYTES)))

    def _logs_in(self, login: Login | None) -> bool:
        if login is None:
            return False
        database = Database(self._settings, credentials=FixedCredentials(login))
        try:
            with database.invocation(1000 * self._deadline.remaining_s()), database.autocommit() as connection:
                connection.execute(text("select 1"))
        except SaturatedError:
            return True  # the password comes before the slots
        except SlotwiseError:
            return False
        return True


def application_settings(owner: DatabaseSettings, plan: Plan) -> DatabaseSettings:
    """Return the settings with which the application logs in, where `owner` logs in with his."""
    return replace(
        owner,
        secret_id=plan.application_secret_id or None,
        iam_user=plan.application_user or None,
        url=None,
        host=plan.application_host or owner.host,
        mode=plan.mode,
        pool_size=0,
        slot_wait_s=0.0,
    )


def monitor_settings(owner: DatabaseSettings, plan: Plan) -> DatabaseSettings | None:
    """Return those of the monitor; None where it has no login of its own.

    It looks at the server itself, whatever the application goes through: a pooler's sessions are not the clients'.
    """
    if not plan.has_monitor:
        return None
    return replace(
        owner,
        secret_id=plan.monitor_secret_id or None,
        iam_user=plan.monitor_user or None,
        url=None,
        mode=Mode.DIRECT,
        pool_size=0,
        slot_wait_s=0.0,
    )
