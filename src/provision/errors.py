"""Why a database could not be provisioned, in words that CloudFormation may show: no secret, no statement, no value."""

from sqlalchemy.exc import DBAPIError

from db import ConflictError, DeadlineExceededError, SlotwiseError, sqlstate


class ProvisionError(Exception):
    """Base of what is wrong with the plan, the role or the server; the message says what to do."""


class PlanError(ProvisionError):
    """The plan cannot be read."""


class BudgetExceededError(ProvisionError):
    """The fleet would open more connections than the server has."""


class RoleRefusedError(ProvisionError):
    """The role that is named cannot be the application's."""


class StepRefusedError(ProvisionError):
    """The server refused a statement."""


ADVICE = {
    "42501": "whoever provisions needs CREATEROLE, the database and its schema, and (PostgreSQL 16 and later) ADMIN"
    " OPTION on the application's role: the master user has them over what it made",
}
LOCKED = "if somebody holds a lock for long, pg_locks says who: then deploy again"


def refused(step: str, state: str) -> StepRefusedError:
    """Return the error for `step`, which the server has refused with SQLSTATE `state`."""
    advice = f": {ADVICE[state]}" if state in ADVICE else ""
    return StepRefusedError(f"the server refused to {step}, SQLSTATE {state}{advice}")


def reason_for(error: BaseException) -> str:
    """Return what may be said of any error."""
    if isinstance(error, ConflictError | DeadlineExceededError):
        return f"{error.kind}: {error}; {LOCKED}"
    if isinstance(error, SlotwiseError):
        return f"{error.kind}: {error}"
    if isinstance(error, ProvisionError):
        return str(error)
    if isinstance(error, DBAPIError):
        return f"a statement failed, SQLSTATE {sqlstate(error) or 'unknown'}: the function's log has the place"
    return f"{type(error).__name__}: the function's log has the place"
