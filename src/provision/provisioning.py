"""Makes the database what the plan wants, in one transaction under one lock: all of it, or nothing.

Every step may be done again; two that come at once do it one after the other. Knows nothing of CloudFormation.
"""

import secrets
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

import migrations
from db import Database, DatabaseSettings, Deadline, FixedCredentials, Login, SaturatedError, SlotwiseError, sqlstate
from db.credentials.api import ApiSource
from db.credentials.secret import login_in
from db.credentials.stages import Stage
from db.errors import error_for
from db.protocol.scram import verifier
from db.settings import Mode
from provision import role
from provision.budget import Budget, Ceiling
from provision.errors import BudgetExceededError, refused
from provision.facts import Facts, ask
from provision.plan import Plan
from provision.role import Application, Step
from provision.sql import identifier

SALT_BYTES = 16
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
    applicant = Applicant(owner, plan, deadline)
    patient = max(owner.connect_timeout_s, WAKING_S)
    name = owner.name or applicant.database
    database = Database(replace(owner, name=name, pool_size=0, connect_timeout_s=patient))
    with database.invocation(remaining_ms):
        with database.autocommit() as connection:  # wakes a server that sleeps, before the application is tried
            connection.execute(text("select 1"))
        password = applicant.verifier_to_set()
        return database.run_transaction(lambda connection: _Work(connection, plan, applicant.role, password).done())


class Applicant:
    """The application, as it will log in."""

    def __init__(self, owner: DatabaseSettings, plan: Plan, deadline: Deadline) -> None:
        """Fetch the secret, where there is one."""
        self.settings = application_settings(owner, plan)
        self._deadline = deadline
        self._secret = ApiSource(self.settings.secret_id) if self.settings.secret_id else None
        self._login = self._login_of(Stage.CURRENT)
        self.role = self._login.user if self._login else plan.application_user
        self.database = self._login.database if self._login else None

    def _login_of(self, stage: Stage) -> Login | None:
        """Return the login that the secret has at `stage`; None where it has none, or there is no secret."""
        if self._secret is None:
            return None
        within_s = self._deadline.require(f"read secret {self._secret.secret_id}")
        answer = self._secret.fetch(stage, within_s)
        return login_in(self._secret.secret_id, answer, self.settings.overrides()) if answer else None

    def verifier_to_set(self) -> str | None:
        """Return the password's verifier; None where the role logs in already, or by IAM.

        What works is left alone: a rotation may be under way, and the password before it must not be put back.
        """
        if self._login is None or self._logs_in(self._login) or self._logs_in(self._login_of(Stage.PENDING)):
            return None
        return verifier(self._login.password.reveal(), secrets.token_bytes(SALT_BYTES))

    def _logs_in(self, login: Login | None) -> bool:
        if login is None:
            return False
        database = Database(self.settings, credentials=FixedCredentials(login))
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


class _Work:
    """One transaction's work."""

    def __init__(self, connection: Connection, plan: Plan, name: str, password: str | None) -> None:
        self._connection, self._plan, self._password = connection, plan, password
        migrations.lock(connection)
        self._facts = ask(connection, role=name, schema=plan.schema_name)
        self._wanted = wanted(plan, name, self._facts)
        budget = budget_of(plan, self._facts)
        self._report = Report(role=name, connection_limit=self._wanted.limit, revision=None, budget=str(budget))
        require_budget(budget)

    def done(self) -> Report:
        role.require_suitable(self._facts, self._wanted.role)
        for step in role.login_steps(self._facts, self._wanted, self._password):
            self._do(step)
            self._report.changes.append(step.name)
        for step in role.schema_steps(self._facts, self._wanted):
            self._do(step)
        self._migrate()
        tables, sequences = self._own()
        for step in role.grant_steps(self._facts, self._wanted, tables, sequences):
            self._do(step)
        return self._report

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


def wanted(plan: Plan, name: str, facts: Facts) -> Application:
    """Return the role as the plan wants it on this server."""
    idle_s = plan.idle_session_timeout_s if plan.mode is Mode.DIRECT else 0.0
    budget = budget_of(plan, facts)
    return Application(
        role=name,
        schema=plan.schema_name,
        limit=plan.connection_limit or budget.role_limit(facts.server.usable),
        settings=role.session_settings(
            facts.server,
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
            f"over budget: {budget}; lower reserved concurrency or pool size, or raise the limit (see README, Budget)"
        )
