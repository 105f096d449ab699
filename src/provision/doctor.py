"""Looks at a database with an application's own login, and says line by line what is well and what to do.

What it asks the server for takes one flight; the login takes what a login takes. Changes nothing.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

import migrations
from db import Database, DatabaseSettings, Deadline, SlotwiseError
from db.protocol.peer import Peer, peer_of
from db.protocol.riders import Rider
from db.statements.riding import riding
from provision import checks, statements
from provision.accounts import Applicant, monitor_settings
from provision.facts import Facts, ask
from provision.findings import Finding, Level, ok
from provision.plan import Plan
from provision.provisioning import budget_of
from provision.rotation import of_rotation, rotation_of
from provision.sql import identifier

Clock = Callable[[], float]
SECRET_S = 5.0
"""How long the monitor's secret is waited for."""


def examine(
    settings: DatabaseSettings, plan: Plan | None, remaining_ms: float, now: Clock = time.time
) -> list[Finding]:
    """Return all lines on the database that `settings` log in to; raises nothing that a database may cause.

    `plan` is what the budget is reckoned from. `now` is our clock, in seconds since 1970.
    """
    examination = _Examination(replace(settings, pool_size=0), plan, now)
    rotation = examination.of_secret()
    try:
        return [rotation, *examination.of_database(remaining_ms)]
    except SlotwiseError as error:
        return [rotation, checks.of_refusal(error)]


class _Examination:
    """One look at one database."""

    def __init__(self, settings: DatabaseSettings, plan: Plan | None, now: Clock = time.time) -> None:
        self._settings, self._plan, self._now = settings, plan, now
        self._revision: str | None = None
        self._monitor: str | None = None
        self._monitor_refused: SlotwiseError | None = None

    def of_secret(self) -> Finding:
        secret_id = self._settings.secret_id
        return of_rotation(rotation_of(secret_id) if secret_id else None, self._now())

    def of_database(self, remaining_ms: float) -> list[Finding]:
        self._learn_the_monitors_name()
        database = Database(self._settings)
        with database.invocation(remaining_ms), database.autocommit() as connection:
            began = self._now()
            facts = self._ask(connection)
            clock = checks.of_clock(facts.server.now, began, self._now())
            peer = peer_of(connection)
        login = ok("login", f"{facts.server.user} at {peer.place}")
        counted = statements.of_statements(facts.server)
        return [login, *self._of_way(facts, peer), clock, *checks.all_of(facts), counted, *self._of_plan(facts)]

    def _ask(self, connection: Connection) -> Facts:
        """Ask for everything in one flight: the revision, whose table may be missing, rides behind and may fail."""
        schema = self._plan.schema_name if self._plan else "public"
        statement = f"select version_num from {identifier(schema)}.alembic_version"  # noqa: S608 - quoted
        with riding(connection, Rider(statement, self._deliver)):
            return ask(connection, role=None, schema=schema, monitor=self._monitor)

    def _deliver(self, row: Sequence[Any] | None) -> None:
        self._revision = str(row[0]) if row else None

    def _of_way(self, facts: Facts, peer: Peer) -> list[Finding]:
        return [
            checks.of_certificate(peer, self._now()),
            checks.of_pooler(facts.server, peer, self._settings.mode),
        ]

    def _of_plan(self, facts: Facts) -> list[Finding]:
        migrated = checks.of_migrations(self._revision, migrations.pending(self._revision))
        if self._plan is None:
            return [migrated, checks.of_budget(None)]
        return [migrated, self._of_monitor(facts), checks.of_budget(budget_of(self._plan, facts))]

    def _learn_the_monitors_name(self) -> None:
        """Read it in the monitor's secret, where the plan says that it has one."""
        settings = monitor_settings(self._settings, self._plan) if self._plan else None
        try:
            self._monitor = Applicant(settings, Deadline.after(SECRET_S)).role if settings else None
        except SlotwiseError as error:
            self._monitor_refused = error

    def _of_monitor(self, facts: Facts) -> Finding:
        if self._monitor_refused:
            return replace(checks.of_refusal(self._monitor_refused), check="monitor", level=Level.WARNING)
        return checks.of_monitor(self._monitor, facts)
