"""The drivers that are compared, each as a SQLAlchemy user has it: one engine with a pool of one connection.

Every peer is asked for the same work by the same functions of a SQLAlchemy Connection.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from db import Database, DatabaseSettings, Tls

CLOSE_S = 2.0

Work = Callable[[Connection], object]


@dataclass(frozen=True, slots=True)
class Target:
    """Where the server is, by way of the proxy."""

    port: int
    password: str
    authority: Path | None = None
    """Whom to trust; None for plaintext."""

    def url(self, driver: str = "postgresql") -> str:
        """Return the superuser's URL; the certificate's name where there is TLS."""
        host = "localhost" if self.authority else "127.0.0.1"
        return f"{driver}://postgres:{self.password}@{host}:{self.port}/postgres"


class Peer(Protocol):
    """One driver with one connection."""

    def query(self, work: Work) -> None:
        """Borrow, work, give back, as one does for a single query where nothing else was asked for."""

    def transaction(self, work: Work) -> None:
        """Borrow, begin, work, commit, give back."""

    def autocommit(self, work: Work) -> None:
        """Borrow with autocommit, work, give back."""

    def close(self) -> None:
        """Close the connection; the next borrow opens a new one."""


class Ours:
    """A Database of db."""

    def __init__(self, target: Target, *, ping: bool = False) -> None:
        """Connect nothing yet; the ping is always there, and free."""
        del ping
        tls = {"tls_ca": str(target.authority)} if target.authority else {"tls": Tls.INSECURE_LOCAL_ONLY}
        self._database = Database(DatabaseSettings(url=target.url(), **tls))

    def query(self, work: Work) -> None:
        """Borrow with autocommit, work, give back."""
        self.autocommit(work)

    def transaction(self, work: Work) -> None:
        """Borrow, begin, work, commit, give back."""
        with self._database.transaction() as connection:
            work(connection)

    def autocommit(self, work: Work) -> None:
        """Borrow with autocommit, work, give back."""
        with self._database.autocommit() as connection:
            work(connection)

    def close(self) -> None:
        """Close the connection."""
        self._database.close()


class Synchronous:
    """A driver under SQLAlchemy's Engine."""

    def __init__(self, driver: str, options: dict[str, Any], target: Target, *, ping: bool) -> None:
        """Connect nothing yet."""
        self._engine: Engine = create_engine(
            target.url(driver), connect_args=options, pool_size=1, max_overflow=0, pool_pre_ping=ping
        )
        self._autocommit: Engine = create_engine(
            target.url(driver), connect_args=options, pool_size=1, pool_pre_ping=ping, isolation_level="AUTOCOMMIT"
        )

    def query(self, work: Work) -> None:
        """Borrow, work, give back: SQLAlchemy begins, and rolls back at the end."""
        with self._engine.connect() as connection:
            work(connection)

    def transaction(self, work: Work) -> None:
        """Borrow, begin, work, commit, give back."""
        with self._engine.begin() as connection:
            work(connection)

    def autocommit(self, work: Work) -> None:
        """Borrow with autocommit, work, give back."""
        with self._autocommit.connect() as connection:
            work(connection)

    def close(self) -> None:
        """Close the connection."""
        self._engine.dispose()
        self._autocommit.dispose()


class Asyncpg:
    """asyncpg under SQLAlchemy's AsyncEngine, each call in the same event loop."""

    def __init__(self, target: Target, *, ping: bool) -> None:
        """Connect nothing yet."""
        options = {"ssl": _context(target) or False}
        self._engine: AsyncEngine = create_async_engine(
            target.url("postgresql+asyncpg"), connect_args=options, pool_size=1, max_overflow=0, pool_pre_ping=ping
        )
        self._autocommit: AsyncEngine = create_async_engine(
            target.url("postgresql+asyncpg"), connect_args=options, pool_pre_ping=ping, isolation_level="AUTOCOMMIT"
        )
        self._runner = asyncio.Runner()

    def query(self, work: Work) -> None:
        """Borrow, work, give back: SQLAlchemy begins, and rolls back at the end."""

        async def borrow() -> None:
            async with self._engine.connect() as connection:
                await connection.run_sync(work)

        self._runner.run(borrow())

    def transaction(self, work: Work) -> None:
        """Borrow, begin, work, commit, give back."""

        async def borrow() -> None:
            async with self._engine.begin() as connection:
                await connection.run_sync(work)

        self._runner.run(borrow())

    def autocommit(self, work: Work) -> None:
        """Borrow with autocommit, work, give back."""

        async def borrow() -> None:
            async with self._autocommit.connect() as connection:
                await connection.run_sync(work)

        self._runner.run(borrow())

    def close(self) -> None:
        """Close the connection."""
        self._runner.run(self._dispose())

    async def _dispose(self) -> None:
        """Close, but do not wait for long: asyncpg waits for the peer's end of a TLS connection."""
        for engine in (self._engine, self._autocommit):
            with suppress(TimeoutError):
                await asyncio.wait_for(engine.dispose(), CLOSE_S)


def _context(target: Target) -> ssl.SSLContext | None:
    return ssl.create_default_context(cafile=target.authority) if target.authority else None


def stock(target: Target, *, ping: bool) -> Peer:
    """Return SQLAlchemy's own pg8000 dialect, with one context for all connections."""
    return Synchronous("postgresql+pg8000", {"ssl_context": _context(target) or False}, target, ping=ping)


def psycopg3(target: Target, *, ping: bool) -> Peer:
    """Return psycopg 3 with its C implementation."""
    return Synchronous("postgresql+psycopg", _libpq(target), target, ping=ping)


def psycopg2(target: Target, *, ping: bool) -> Peer:
    """Return psycopg2."""
    return Synchronous("postgresql+psycopg2", _libpq(target), target, ping=ping)


def _libpq(target: Target) -> dict[str, Any]:
    if target.authority is None:
        return {"sslmode": "disable", "gssencmode": "disable"}
    return {"sslmode": "verify-full", "sslrootcert": str(target.authority), "gssencmode": "disable"}


MakePeer = Callable[..., Peer]

PEERS: dict[str, MakePeer] = {
    "Slotwise": Ours,
    "pg8000": stock,
    "psycopg 3": psycopg3,
    "psycopg2": psycopg2,
    "asyncpg": Asyncpg,
}
"""By the name in the table."""


def versions() -> dict[str, str]:
    """Return what was compared."""
    return {name: version(name) for name in ("sqlalchemy", "pg8000", "psycopg", "psycopg2-binary", "asyncpg")}


def select_one(connection: Connection) -> object:
    """Run the statement that stands for any: parametrised, one row."""
    return connection.scalar(text("select cast(:n as int)"), {"n": 1})
