"""Makes the database what the plan wants, in one transaction under one lock: all of it, or nothing.

Every step may be done again; two that come at once do it one after the other. Knows nothing of CloudFormation.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

import migrations
from db import Database, DatabaseSettings, Deadline, sqlstate
from db.errors import error_for
from db.settings import Mode
from provision import monitoring, role, statements
from provision.accounts import Account, Applicant, application_settings, monitor_settings
from provision.budget import Budget, Ceiling
from provision.errors import BudgetExceededError, StepRefusedError, refused
from provision.facts import Facts, RoleFacts, ServerFacts, ask
from provision.plan import Plan
from provision.role import Application, LoginRole, Step
from provision.sql import identifier

WAKING_S = 60.0
"""How long a server is waited for: Aurora that sleeps takes half a minute to wake up."""

_OWN = text("""
select relname, relkind = 'S' as is_sequence from pg_class
where relnamespace = to_regnamespace(:schema)
  and relkind in ('r', 'p', 'S') and relname <> 'alembic_version'
  and relowner = (select oid from pg_roles where rolname = current_user)
order by relname
""")


@dataclass(slots=True)
class Report:
    """What was done."""

    role: str
    connection_limit: int
    revision: str | None
    """The schema's, now."""
    budget: str
    changes: list[str] = field(default_factory=list)
    """What was not so before, and is said again where the server does not tell."""
    warnings: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON's types."""
        return asdict(self)


def provision(owner: DatabaseSettings, plan: Plan, remaining_ms: float) -> Report:
    """Provision as `owner`, who is not the application, within `remaining_ms`.

    Raises ProvisionError where plan, role or server are wrong, SlotwiseError where the database cannot be had.
    """
    deadline = Deadline.after(remaining_ms / 1000)
    application = Applicant(application_settings(owner, plan), deadline)
    settings = monitor_settings(owner, plan)
    monitor = Applicant(settings, deadline) if settings else None
    patient = max(owner.connect_timeout_s, WAKING_S)
    name = owner.name or application.database
    database = Database(replace(owner, name=name, pool_size=0, connect_timeout_s=patient))
    with database.invocation(remaining_ms):
        with database.autocommit() as connection:  # wakes a server that sleeps, before the others are tried
            connection.execute(text("select 1"))
        accounts = application.account(), monitor.account() if monitor else None
        return database.run_transaction(lambda connection: _Work(connection, plan, *accounts).done())


class _Work:
    """One transaction's work."""

    def __init__(self, connection: Connection, plan: Plan, application: Account, monitor: Account | None) -> None:
        self._connection, self._plan, self._application, self._monitor = connection, plan, application, monitor
        migrations.lock(connection)
        watcher = monitor.role if monitor else None
        other = role.alternate(application.role) if plan.alternating_users else None
        self._facts = ask(connection, role=application.role, schema=plan.schema_name, monitor=watcher, other=other)
        budget = budget_of(plan, self._facts)
        limit = plan.connection_limit or budget.role_limit(self._facts.server.usable)
        self._wanted = wanted(plan, application.role, self._facts.server, limit)
        self._report = Report(role=application.role, connection_limit=limit, revision=None, budget=str(budget))
        require_budget(budget)

    def done(self) -> Report:
        self._require_suitable_roles()
        self._let_log_in(self._application, self._facts.role, self._wanted)
        users = [self._wanted]
        if self._plan.alternating_users:
            self._change(role.alternate_steps(self._facts, self._wanted), "alternate: ")
            users.append(replace(self._wanted, role=role.alternate(self._wanted.role)))
        for step in role.schema_steps(self._facts, self._wanted):
            self._do(step)
        self._migrate()
        tables, sequences = self._own()
        for step in [step for user in users for step in role.grant_steps(self._facts, user, tables, sequences)]:
            self._do(step)
        if self._monitor:
            self._let_in(self._monitor)
        self._count_statements()
        return self._report

    def _require_suitable_roles(self) -> None:
        server, facts = self._facts.server, self._facts
        role.require_suitable(server, facts.role, self._application.role)
        role.require_no_owner(facts.schema, self._application.role)
        if facts.other:
            role.require_suitable(server, facts.other, facts.other.name)
        if self._monitor:
            role.require_suitable(server, facts.monitor, self._monitor.role)
            monitoring.require_another(self._monitor.role, self._application.role)

    def _let_log_in(self, account: Account, there: RoleFacts | None, wanted: LoginRole, whose: str = "") -> None:
        """Make the role as it is wanted; a password that nobody can try is left alone, and told."""
        steps = role.login_steps(self._facts.server, there, wanted, account.verifier_for(there))
        self._change(steps, whose)
        self._report.warnings += account.doubts_about(there)

    def _let_in(self, monitor: Account) -> None:
        """Make the monitor's role, with those of its rights that may be granted; the others are told."""
        server, there = self._facts.server, self._facts.monitor
        wanted = monitoring.wanted(server, monitor.role, by_iam=bool(self._plan.monitor_user))
        self._let_log_in(monitor, there, wanted, "monitor: ")
        self._change(monitoring.right_steps(server, there, monitor.role), "monitor: ")
        self._do(role.connect_step(server, wanted))
        self._report.warnings += monitoring.refusals(server, there, monitor.role)

    def _count_statements(self) -> None:
        """Have the statements counted, where the server can and who provisions may; nothing else depends on it."""
        if self._facts.server.statements != statements.NOT_INSTALLED:
            return
        try:
            with self._connection.begin_nested():
                self._change([statements.INSTALL])
        except StepRefusedError:
            self._report.warnings.append(statements.REFUSED)

    def _change(self, steps: Iterable[Step], whose: str = "") -> None:
        for step in steps:
            self._do(step)
            self._report.changes.append(whose + step.name)

    def _do(self, step: Step) -> None:
        try:
            self._connection.exec_driver_sql(step.sql)
        except DBAPIError as error:
            state = sqlstate(error)
            if state is None or error_for(state):
                raise
        else:
            return
        raise refused(step.name, state)

    def _migrate(self) -> None:
        """Run the steps that are pending; a schema that is newer than this code is left as it is."""
        before = migrations.revision_of(self._connection)
        steps = migrations.pending(before)
        if steps is None:
            self._report.warnings.append(f"the schema's revision {before} is newer than this code: left as it is")
        elif steps:
            migrations.upgrade_within(self._connection)
            self._report.changes += [f"migrate to {step}" for step in steps]
        self._report.revision = migrations.revision_of(self._connection)

    def _own(self) -> tuple[list[str], list[str]]:
        """Return the tables and the sequences that the migrations have made."""
        rows = self._connection.execute(_OWN, {"schema": identifier(self._wanted.schema)}).all()
        return [row.relname for row in rows if not row.is_sequence], [row.relname for row in rows if row.is_sequence]


def wanted(plan: Plan, name: str, server: ServerFacts, limit: int) -> Application:
    """Return the role as the plan wants it on this server, with so many connections at most."""
    idle_s = plan.idle_session_timeout_s if plan.mode is Mode.DIRECT else 0.0
    return Application(
        role=name,
        schema=plan.schema_name,
        limit=limit,
        settings=role.session_settings(
            server,
            schema=plan.schema_name,
            statement_s=plan.statement_timeout_s,
            in_transaction_s=plan.idle_in_transaction_timeout_s,
            idle_s=idle_s,
        ),
        by_iam=bool(plan.application_user),
    )


def budget_of(plan: Plan, facts: Facts) -> Budget:
    """Return the plan's sum against this server; a proxy or a pooler shares its own connections out."""
    ceilings = []
    if plan.mode is Mode.DIRECT:
        ceilings.append(Ceiling("the server", facts.server.usable))
        if facts.server.database_limit is not None:
            ceilings.append(Ceiling(f"the database {facts.server.database}", facts.server.database_limit))
        if plan.connection_limit:
            ceilings.append(Ceiling("the role", plan.connection_limit, is_shared=False))
    return Budget(plan.functions, plan.headroom, ceilings)


def require_budget(budget: Budget) -> None:
    """Raise BudgetExceededError, with the sum, where the fleet does not fit."""
    if not budget.fits:
        raise BudgetExceededError(
            f"over budget: {budget}; lower reserved concurrency or pool size, or raise the limit"
            " (see DEPLOYING.md, How many connections)"
        )
