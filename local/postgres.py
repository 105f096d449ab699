"""A PostgreSQL server of our own on 127.0.0.1, a child of this process, that can be stopped, crashed and started again.

Knows nothing of the application: no role, table or secret of it.
"""

import contextlib
import signal
import socket
import subprocess
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from local.binaries import as_ordinary_user, has_tls, postgres_bin

STOP_SIGNALS = MappingProxyType({"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT})

SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "fsync": "off",
        "password_encryption": "scram-sha-256",
        "log_min_messages": "fatal",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
)
"""What each server of ours is started with. It is thrown away afterwards, so nothing waits for a disk."""


class PostgresStartError(RuntimeError):
    """The server did not come up; carries the end of its log."""


_kept: deque[int] = deque()
KEPT = 100
"""Ports that are kept: more than are given away in the seconds that a server takes to start."""


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that is nobody's.

    The kernel gives it to nobody else for a while, since it stays bound; a server may listen on it all the same, as
    each does that sets SO_REUSEADDR. Until then connections to it are refused.
    """
    keeper = socket.socket()
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.bind(("127.0.0.1", 0))
    port: int = keeper.getsockname()[1]
    _kept.append(keeper.detach())  # as a descriptor: a socket would complain of being open at the end
    if len(_kept) > KEPT:
        socket.close(_kept.popleft())
    return port


@dataclass
class PostgresServer:
    """One cluster in `directory`, owned by the role `postgres` with `password`."""

    directory: Path
    password: str = field(repr=False)
    port: int = field(default_factory=free_port)
    settings: Mapping[str, str] = field(default_factory=dict)
    certificate: Path | None = None
    """A PEM file with certificate and private key: TLS is on. The binaries must have it."""
    binaries: Path = field(default_factory=postgres_bin)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False, repr=False)

    @property
    def has_tls(self) -> bool:
        """Say whether these binaries can speak TLS."""
        return has_tls(self.binaries)

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        if self._process is None:
            raise PostgresStartError(f"PostgreSQL on port {self.port} is not running")
        return self._process.pid

    def __enter__(self) -> Self:
        """Create the cluster where there is none, and start it."""
        if not (self.directory / "PG_VERSION").exists():
            self.create()
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop at once; the directory is the caller's to remove."""
        self.stop("immediate")

    def create(self) -> None:
        """Run initdb: one superuser, `postgres`, that logs in with a password like everybody."""
        self.directory.mkdir(parents=True, exist_ok=True)
        secret = self.directory.with_suffix(".password")
        secret.touch(mode=0o600)
        secret.write_text(self.password)
        options = ["--username=postgres", f"--pwfile={secret}", "--auth=scram-sha-256", "--no-sync", "--encoding=UTF8"]
        program = str(self.binaries / "initdb")
        command = [*as_ordinary_user(), program, f"--pgdata={self.directory}", *options, "--locale=C"]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except subprocess.CalledProcessError as error:
            raise PostgresStartError(f"initdb failed:\n{error.stderr.decode()}") from error
        finally:
            secret.unlink()

    def start(self, timeout_s: float = 30) -> None:
        """Start the server and wait until it accepts connections."""
        with (self.directory / "server.log").open("ab") as log:
            self._process = subprocess.Popen(self._command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        self.wait_until_ready(timeout_s)

    def _command(self) -> list[str]:
        settings = {**SETTINGS, "port": str(self.port), **self._tls_settings(), **self.settings}
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [*as_ordinary_user(), str(self.binaries / "postgres"), "-D", str(self.directory), *options]

    def _tls_settings(self) -> dict[str, str]:
        if self.certificate is None:
            return {}
        return {"ssl": "on", "ssl_cert_file": str(self.certificate), "ssl_key_file": str(self.certificate)}

    def wait_until_ready(self, timeout_s: float = 30) -> None:
        """Wait until the server answers; raise PostgresStartError with its log where it does not."""
        give_up_at = time.monotonic() + timeout_s
        while not self._accepts():
            if self._process is None or self._process.poll() is not None or time.monotonic() > give_up_at:
                raise PostgresStartError(f"PostgreSQL did not start:\n{self.log()[-2000:]}")
            time.sleep(0.02)

    def _accepts(self) -> bool:
        command = [str(self.binaries / "pg_isready"), "--host=127.0.0.1", f"--port={self.port}", "--quiet"]
        return subprocess.run(command, check=False).returncode == 0

    def log(self) -> str:
        """Return what the server has logged so far."""
        return (self.directory / "server.log").read_text(errors="replace")

    def stop(self, mode: str = "fast", timeout_s: float = 30) -> None:
        """Stop the server: `smart`, `fast` or `immediate`, as pg_ctl does. A stopped server stays stopped."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(STOP_SIGNALS[mode])
        self._process.wait(timeout_s)
        self._process = None

    def restart(self, mode: str = "fast") -> None:
        """Stop in `mode` and start again on the same port."""
        self.stop(mode)
        self.start()

    def url(
        self,
        user: str = "postgres",
        password: str | None = None,
        database: str = "postgres",
        *,
        port: int | None = None,
    ) -> str:
        """Return a libpq URL for `user`, the superuser by default; `port` is of what stands before the server."""
        return f"postgresql://{user}:{password or self.password}@127.0.0.1:{port or self.port}/{database}"
