"""Lends connections to PostgreSQL from inside AWS Lambda. The public names; no logic.

A borrow's way: `database` asks `engine` for a connection; where the pool has none, `connector` opens one, with the
login that `credentials` knows, through `protocol`; `recovery` lets it outlive its session; `fleet` decides whether it
is kept; `observation` says what happened. `environment` is what Lambda does to the process, `statements` what a
statement's text tells.
"""

from db.application import shown_function
from db.credentials.fixed import FixedCredentials
from db.credentials.iam import IamCredentials
from db.credentials.identity import Credentials, Login
from db.credentials.secret import SecretCredentials
from db.database import Database
from db.deadline import Deadline
from db.environment.process import is_local
from db.errors import (
    CommitUnknownError,
    ConfigurationError,
    ConflictError,
    ConnectionLostError,
    DeadlineExceededError,
    LoginRefusedError,
    NestedBorrowError,
    ReadOnlyError,
    SaturatedError,
    SecretError,
    SlotwiseError,
    UnavailableError,
    UnreachableError,
)
from db.failures import sqlstate
from db.masking import Secret
from db.observation import Borrow, LeakedBorrow, Observer, Pin, PoolState, Repeat, Slots, SlowStatement
from db.rehearsal import Work
from db.settings import DatabaseSettings, Tls

__all__ = [
    "Borrow",
    "CommitUnknownError",
    "ConfigurationError",
    "ConflictError",
    "ConnectionLostError",
    "Credentials",
    "Database",
    "DatabaseSettings",
    "Deadline",
    "DeadlineExceededError",
    "FixedCredentials",
    "IamCredentials",
    "LeakedBorrow",
    "Login",
    "LoginRefusedError",
    "NestedBorrowError",
    "Observer",
    "Pin",
    "PoolState",
    "ReadOnlyError",
    "Repeat",
    "SaturatedError",
    "Secret",
    "SecretCredentials",
    "SecretError",
    "Slots",
    "SlotwiseError",
    "SlowStatement",
    "Tls",
    "UnavailableError",
    "UnreachableError",
    "Work",
    "is_local",
    "shown_function",
    "sqlstate",
]
