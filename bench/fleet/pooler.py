"""PgBouncer in transaction mode, the pooler that the others are measured by. Debian: `apt-get install pgbouncer`."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from bench.fleet.scenarios import Scenario
from local.binaries import as_ordinary_user
from local.postgres import PostgresServer, free_port

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

CONFIGURATION = """
[databases]
postgres = host=127.0.0.1 port={server_port} dbname=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = plain
auth_file = {users}
pool_mode = transaction
max_client_conn = 5000
max_db_connections = {slots}
default_pool_size = {slots}
logfile = {log}
[users]
{limits}
"""


@contextlib.contextmanager
def pgbouncer(directory: Path, server: PostgresServer, scenario: Scenario) -> Iterator[tuple[int, int]]:
    """Put PgBouncer in front of the server; give its port and its process id."""
    port, users, settings = free_port(), directory / "users.txt", directory / "pgbouncer.ini"
    users.write_text("".join(f'"{function}" "{server.password}"\n' for function in scenario.functions))
    settings.write_text(
        CONFIGURATION.format(
            server_port=server.port,
            port=port,
            users=users,
            slots=scenario.slots,
            log=directory / "pgbouncer.log",
            limits="\n".join(
                f"{function} = max_user_connections={round(scenario.slots * share)}"
                for function, share in scenario.functions.items()
            ),
        )
    )
    directory.chmod(0o777)
    process = subprocess.Popen([*as_ordinary_user(), str(PROGRAM), "--quiet", str(settings)])
    try:
        _wait_for(port)
        yield port, process.pid
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def _wait_for(port: int) -> None:
    give_up_at = time.monotonic() + 10
    while time.monotonic() < give_up_at:
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.05)
    raise TimeoutError("PgBouncer did not come up")
