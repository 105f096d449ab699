"""Lends connections to PostgreSQL from inside AWS Lambda. The public names; no logic."""

from db.credentials import Credentials, FixedCredentials, Login, SecretCredentials
from db.database import Database
from db.deadline import Deadline
from db.errors import (
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
from db.observation import Borrow, Observer, PoolState
from db.settings import DatabaseSettings, Tls, is_local

__all__ = [
    "Borrow",
    "ConfigurationError",
    "ConflictError",
    "ConnectionLostError",
    "Credentials",
    "Database",
    "DatabaseSettings",
    "Deadline",
    "DeadlineExceededError",
    "FixedCredentials",
    "Login",
    "LoginRefusedError",
    "NestedBorrowError",
    "Observer",
    "PoolState",
    "ReadOnlyError",
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
