"""A server on which nobody is left but a test's own sessions: a closed one goes a moment after its client."""

import os
import socket
from contextlib import closing, suppress
from typing import Any

import psycopg

from local.postgres import PostgresServer
from tests.faults.server import OTHERS, admin, rows, wait_until


def wait_until_quiet(server: PostgresServer, where: str = "true") -> None:
    """Wait until no client but this one, of whom `where` on pg_stat_activity holds, has a session."""
    with closing(admin(server)) as session:
        wait_until(lambda: not rows(session, f"{OTHERS} and {where}"))
        _leave(session)


def _leave(session: psycopg.Connection[Any]) -> None:
    """Close, and wait for the server's process to end: only then is its end of the line closed.

    By a reset where TLS was spoken: what the client says last in it is never read.
    """
    with socket.socket(fileno=os.dup(session.fileno())) as line, suppress(ConnectionResetError):
        line.settimeout(10)
        session.close()
        while line.recv(1024):
            pass
