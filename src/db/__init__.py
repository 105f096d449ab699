"""Lends connections to PostgreSQL from inside AWS Lambda. The public names; no logic."""

from db.credentials import Credentials, FixedCredentials, Login, SecretCredentials
from db.database import Database
from db.deadline import Deadline
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
from db.observation import Borrow, LeakedBorrow, Observer, PoolState, Repeat
from db.settings import DatabaseSettings, Tls, is_local

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
    "LeakedBorrow",
    "Login",
    "LoginRefusedError",
    "NestedBorrowError",
    "Observer",
    "PoolState",
    "ReadOnlyError",
    "Repeat",
    "SaturatedError",
    "SecretCredentials",
    "SecretError",
    "SlotwiseError",
    "Tls",
    "UnavailableError",
    "UnreachableError",
    "is_local",
    "sqlstate",
]
