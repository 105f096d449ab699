"""PgBouncer in transaction mode before a server. Debian: `apt-get install pgbouncer`."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.binaries import as_ordinary_user
from local.postgres import PostgresServer, free_port
from tests.faults.server import wait_until


@contextmanager
def pgbouncer(
    server: PostgresServer, directory: Path, user: str = "postgres", password: str | None = None
) -> Iterator[int]:
    """Let `user` (the superuser) in at the port that is yielded, and on to `server`."""
    port, users, config = free_port(), directory / "users", directory / "pgbouncer.ini"
    users.write_text(f'"{user}" "{password or server.password}"\n')
    config.write_text(
        f"[databases]\n* = host=127.0.0.1 port={server.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {users}\n"
        "pool_mode = transaction\ndefault_pool_size = 2\nmax_client_conn = 50\n"
    )
    for file in (directory, users, config):
        file.chmod(0o755)
    command = [*as_ordinary_user(), "pgbouncer", "--quiet", str(config)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: _listens(port))
        yield port
    finally:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
