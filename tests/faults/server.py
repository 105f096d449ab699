"""A PostgreSQL in trouble: crashed in a backend, filled to its limit, read-only, or replaced by its standby.

What `PostgresServer` does itself (stop, crash, restart) is used as it is.
"""

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Any

from psycopg import Connection, OperationalError

from local.binaries import as_ordinary_user
from local.postgres import PostgresServer, PostgresStartError

ORDINARY = "ordinary"
"""A role without privileges, made where a test asks for it; its password is the server's."""
SMALL = {"max_connections": "8", "superuser_reserved_connections": "2", "autovacuum": "off"}
"""Settings of a server that is quickly full, and whose slots and transaction ids are its clients' alone."""
OTHERS = "select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
"""The clients' backends but that of who asks; conditions may follow."""
TURNS_AWAY = 1
"""pg_isready's exit code for a server that is there and lets nobody in (57P03)."""


def admin(server: PostgresServer, user: str = "postgres", database: str = "postgres") -> Connection[Any]:
    """Return a plain session of `user`, for the test's own use; it is a context manager."""
    return Connection.connect(server.url(user, database=database), autocommit=True)


def run(server: PostgresServer, sql: str, **values: object) -> list[tuple[Any, ...]]:
    """Run one statement as superuser and return its rows."""
    with admin(server) as session:
        return rows(session, sql, **values)


def rows(session: Connection[Any], sql: str, **values: object) -> list[tuple[Any, ...]]:
    """Run one statement and return its rows; none where it has none."""
    cursor = session.execute(sql, values or None)
    return cursor.fetchall() if cursor.description else []


def ordinary_url(server: PostgresServer, *, connection_limit: int = -1) -> str:
    """Make the role ORDINARY, which may create tables, and return its URL."""
    if not run(server, "select 1 from pg_roles where rolname = %(name)s", name=ORDINARY):
        run(server, f"create role {ORDINARY} login password '{server.password}'")
        run(server, f"grant create on schema public to {ORDINARY}")
    run(server, f"alter role {ORDINARY} connection limit {connection_limit}")
    return server.url(ORDINARY)


def wait_until(holds: Callable[[], object], within_s: float = 10) -> float:
    """Wait until `holds()` is true and return the seconds it took; fail where it never is."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < within_s, "waited in vain"
        time.sleep(0.01)
    return time.monotonic() - began


def backends(server: PostgresServer, where: str = "true") -> list[int]:
    """Return the process ids of the clients' backends that `where`, on pg_stat_activity, holds for."""
    return [pid for (pid,) in run(server, f"{OTHERS} and {where} order by pid")]


def terminate(server: PostgresServer, where: str = "true") -> int:
    """End clients' sessions with 57P01, as an administrator does; return how many."""
    pids = backends(server, where)
    for pid in pids:
        run(server, "select pg_terminate_backend(%(pid)s)", pid=pid)
    wait_until(lambda: not set(pids) & set(backends(server)))
    return len(pids)


def crash_backend(server: PostgresServer) -> None:
    """Kill one backend as the kernel's out-of-memory killer does: every session ends with 57P02, then recovery.

    Returns when every session that was there has ended; the server tells them one after another.
    """
    with admin(server) as victim:
        others = backends(server)
        os.kill(victim.info.backend_pid, signal.SIGKILL)
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in others))


class Full(Enum):
    """What has no slot left; each makes PostgreSQL say 53300 in other words."""

    SERVER = "sorry, too many clients already"
    RESERVED = "remaining connection slots are reserved"
    ROLE = "too many connections for role"
    DATABASE = "too many connections for database"


SLOTS = {Full.SERVER: 8, Full.RESERVED: 6, Full.ROLE: 1, Full.DATABASE: 1}
"""How many there are with SMALL settings, and with the limits that are set to fill role and database."""


@contextmanager
def filled(server: PostgresServer, what: Full, *, others: int = 0) -> Iterator[Callable[[], None]]:
    """Fill `what` on a server with SMALL settings, where `others` have slots of it; yields what frees it again."""
    sessions = _fill(server, what, SLOTS[what] - others)

    def free() -> None:
        while sessions:
            sessions.pop().close()

    try:
        yield free
    finally:
        free()
        wait_until(lambda: logs_in(server))
        run(server, "alter database postgres connection limit -1")


def _fill(server: PostgresServer, what: Full, free: int) -> list[Connection[Any]]:
    """Take all `free` slots, also those of sessions that are just ending."""
    limit = 1 if what is Full.ROLE else -1
    ordinary_url(server, connection_limit=limit)
    if what is Full.DATABASE:
        run(server, "alter database postgres connection limit 1")
    user = "postgres" if what is Full.SERVER else ORDINARY
    sessions: list[Connection[Any]] = []

    def is_full() -> bool:
        session = _session_or_none(server, user) if len(sessions) < free else None
        sessions.extend([session] if session else [])
        return len(sessions) == free

    wait_until(is_full)
    return sessions


def _session_or_none(server: PostgresServer, user: str) -> Connection[Any] | None:
    try:
        return admin(server, user)
    except OperationalError:
        return None


def logs_in(server: PostgresServer, user: str = "postgres") -> bool:
    """Say whether `user` is let in now."""
    session = _session_or_none(server, user)
    if session is not None:
        session.close()
    return session is not None


def make_read_only(server: PostgresServer, *, read_only: bool = True) -> None:
    """Let each new transaction, on connections that are there too, be read-only."""
    run(server, f"alter system set default_transaction_read_only = {'on' if read_only else 'off'}")
    run(server, "select pg_reload_conf()")
    wait_until(lambda: run(server, "show default_transaction_read_only") == [("on" if read_only else "off",)])


def standby_of(primary: PostgresServer, directory: Path) -> PostgresServer:
    """Return a streaming standby of `primary`, not yet started; promote it with `promote`."""
    program = str(primary.binaries / "pg_basebackup")
    options = ["--host=127.0.0.1", f"--port={primary.port}", "--username=postgres", "--checkpoint=fast"]
    command = [*as_ordinary_user(), program, *options, f"--pgdata={directory}", "--write-recovery-conf", "--no-sync"]
    environment = {**os.environ, "PGPASSWORD": primary.password}
    subprocess.run(command, check=True, capture_output=True, env=environment)
    return PostgresServer(directory, primary.password)


@contextmanager
def recovering(primary: PostgresServer, directory: Path) -> Iterator[PostgresServer]:
    """A copy of `primary` that never ends its recovery: it answers each login with 57P03."""
    server = standby_of(primary, directory)
    server.settings = {"hot_standby": "off"}
    with suppress(PostgresStartError):
        server.start(timeout_s=0)
    wait_until(lambda: _turns_away(server))
    try:
        yield server
    finally:
        server.stop("immediate")


def _turns_away(server: PostgresServer) -> bool:
    """Say whether the server answers with 57P03, as pg_isready tells by its exit code."""
    program = str(server.binaries / "pg_isready")
    command = [program, "--host=127.0.0.1", f"--port={server.port}", "--quiet"]
    return subprocess.run(command, check=False).returncode == TURNS_AWAY


@contextmanager
def asks_in_clear(directory: Path, user: str) -> Iterator[PostgresServer]:
    """A server that asks `user` for a password in clear, as RDS asks who has the role rds_iam."""
    server = PostgresServer(directory, secrets.token_urlsafe())
    server.create()
    rules = server.directory / "pg_hba.conf"
    rules.write_text(f"host all {user} 127.0.0.1/32 password\n{rules.read_text()}")
    with server:
        yield server


def promote(standby: PostgresServer) -> None:
    """Make the standby a primary that takes writes; its sessions stay."""
    run(standby, "select pg_promote()")
