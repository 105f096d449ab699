"""Clusters by copy: initdb takes seconds of a processor, and the tests want a hundred clusters that are alike."""

import subprocess
import tempfile
from pathlib import Path
from unittest.mock import patch

from local.binaries import as_ordinary_user
from local.postgres import PostgresServer, PostgresStartError

_create = PostgresServer.create
_templates: dict[Path, Path] = {}
"""A cluster of each PostgreSQL that this run has met, never started."""


def pytest_configure() -> None:
    """Let each server of the tests have a copy."""
    patch.object(PostgresServer, "create", _copy).start()


def _copy(server: PostgresServer) -> None:
    template = _templates.get(server.binaries) or _made(server)
    server.directory.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cp", "-a", f"{template}/.", server.directory], check=True)  # noqa: S607 - wherever it is
    _set_password(server)


def _made(server: PostgresServer) -> Path:
    """Return a cluster out of initdb, with a password that nobody uses."""
    template = PostgresServer(Path(tempfile.mkdtemp()) / "data", "template", binaries=server.binaries)
    _create(template)
    return _templates.setdefault(server.binaries, template.directory)


def _set_password(server: PostgresServer) -> None:
    """Set it in single-user mode, as initdb does: https://www.postgresql.org/docs/current/app-postgres.html."""
    program = [*as_ordinary_user(), str(server.binaries / "postgres"), "--single", "-F", "-D", str(server.directory)]
    statement = "alter role postgres password '{}'\n".format(server.password.replace("'", "''"))
    done = subprocess.run(
        [*program, "-c", "password_encryption=scram-sha-256", "postgres"],
        check=False,
        input=statement.encode(),
        capture_output=True,
    )
    if done.returncode or b"ERROR" in done.stderr:
        raise PostgresStartError(f"no password could be set:\n{done.stderr.decode()}")
