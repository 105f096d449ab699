"""PgBouncer in transaction mode before a PostgreSQL server of ours, on 127.0.0.1: a child of this process.

Debian: `apt-get install pgbouncer`. https://www.pgbouncer.org/config.html
"""

import os
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from local.binaries import as_ordinary_user
from local.postgres import PostgresServer, free_port

CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server_port} auth_user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = 500
logfile = {log}
"""


class PgBouncerNotFoundError(RuntimeError):
    """There is no PgBouncer on this machine."""

    def __init__(self) -> None:
        """Say how to have it."""
        super().__init__("no pgbouncer found: install it (Debian: apt-get install pgbouncer), or put it on the PATH")


def program() -> str:
    """Return where it is: on the PATH, or where systems keep their daemons."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    if found := shutil.which("pgbouncer", path=path):
        return found
    raise PgBouncerNotFoundError


@dataclass
class PgBouncer:
    """One pooler for every database and role of `server`; it lends each role `pool_size` sessions at most."""

    server: PostgresServer
    directory: Path
    pool_size: int = 4
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    def __enter__(self) -> Self:
        """Start it and wait until it listens."""
        self.directory.mkdir(parents=True, exist_ok=True)
        users, settings = self.directory / "users", self.directory / "pgbouncer.ini"
        users.write_text(f'"postgres" "{self.server.password}"\n')
        log = self.directory / "pgbouncer.log"
        settings.write_text(
            CONFIGURATION.format(
                server_port=self.server.port, port=self.port, users=users, pool_size=self.pool_size, log=log
            )
        )
        for file in (users, settings):
            file.chmod(0o600)
        self._process = subprocess.Popen([*as_ordinary_user(), program(), "--quiet", str(settings)])
        try:
            self._wait_until_it_listens()
        except BaseException:
            self._kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill it; its sessions end with it."""
        self._kill()

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _wait_until_it_listens(self, timeout_s: float = 10) -> None:
        give_up_at = time.monotonic() + timeout_s
        while time.monotonic() < give_up_at:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise TimeoutError(f"PgBouncer did not listen on port {self.port} within {timeout_s} s")
