"""What is wanted of the database, as CloudFormation (or who invokes the function by hand) says it. Decides nothing.

CloudFormation makes a text of every number and truth value; they are read as what they say.
"""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_pascal

from db.settings import Mode
from db.variables import MAX_PORT
from provision.errors import PlanError


class Wanted(BaseModel):
    """A part of the plan: read once, never changed, and without room for a mistyped name."""

    model_config = ConfigDict(alias_generator=to_pascal, validate_by_name=True, extra="forbid", frozen=True)


class Share(Wanted):
    """One function's part in the fleet's connections."""

    function: str
    environments: int = Field(ge=0)
    """Its reserved concurrency."""
    processes: int = Field(default=1, ge=1)
    """Processes of an environment that have a Database each."""
    pool_size: int = Field(default=1, ge=0)
    """Its DB_POOL_SIZE; 0 opens one connection at a time."""
    login: Literal["application", "own"] = "application"
    """Whose it is: one of its own does not count against the application's role."""

    @property
    def connections(self) -> int:
        """How many it holds at most."""
        return self.environments * self.processes * max(1, self.pool_size)


class Plan(Wanted):
    """Who the application is, what it may do, and how many connections it takes."""

    application_secret_id: str = ""
    """Name or ARN of the secret with the application's login; this or `application_user`."""
    application_user: str = ""
    """The application's role, which logs in by IAM."""
    alternating_users: bool = False
    """Whether the application's login changes between its user and that user's clone: both are then made."""
    application_host: str = ""
    """Where the application connects to, where that is not the secret's host: a proxy, a pooler."""
    application_port: Annotated[int, Field(ge=1, le=MAX_PORT)] | Literal[""] = ""
    """Its port there, where that is not the secret's."""
    monitor_secret_id: str = ""
    """The same of the monitor, whose role is made where this or `monitor_user` is given."""
    monitor_user: str = ""
    schema_name: str = Field(default="public", min_length=1)
    """Where the tables are."""
    mode: Mode = Mode.DIRECT
    """Whether the application's connections lead to the server, or to a pooler or proxy before it."""
    functions: tuple[Share, ...] = Field(min_length=1)
    headroom: int = Field(default=5, ge=0)
    """Slots that the fleet leaves to others: people, migrations, monitoring, other applications."""
    connection_limit: int = Field(default=0, ge=0)
    """The role's CONNECTION LIMIT; 0 takes what the budget leaves."""
    statement_timeout_s: float = Field(default=60, gt=0)
    """What the server allows a statement of the application at most: longer than any function runs."""
    idle_in_transaction_timeout_s: float = Field(default=60, gt=0)
    """What is left behind in a transaction ends then, unless the session has said sooner."""
    idle_session_timeout_s: float = Field(default=600, ge=0)
    """For sessions that nobody gave a lease; 0 for no limit. Not set behind a pooler, whose sessions idle."""

    @property
    def has_monitor(self) -> bool:
        """Whether the monitor has a login of its own."""
        return bool(self.monitor_secret_id or self.monitor_user)

    @model_validator(mode="after")
    def _one_login(self) -> Self:
        if bool(self.application_secret_id) == bool(self.application_user):
            raise ValueError("exactly one of ApplicationSecretId and ApplicationUser says who the application is")
        if self.alternating_users and self.application_user:
            raise ValueError("AlternatingUsers is for a secret: a user that logs in by IAM has no password to rotate")
        if self.monitor_secret_id and self.monitor_user:
            raise ValueError("one of MonitorSecretId and MonitorUser says who the monitor is")
        return self


def read_plan(given: object) -> Plan:
    """Read JSON's types; raise PlanError, which names the fields and holds none of their values."""
    try:
        return Plan.model_validate(given)
    except ValidationError as error:
        flaws = [f"{'.'.join(map(str, flaw['loc'])) or 'it'}: {flaw['msg']}" for flaw in error.errors()]
    raise PlanError(f"the plan cannot be read: {'; '.join(flaws)}")
