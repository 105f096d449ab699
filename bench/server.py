"""The server that is measured with: our own, with TLS, thrown away afterwards."""

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.postgres import PostgresServer
from tests.faults.tls import Authority


@contextmanager
def own_server() -> Iterator[tuple[PostgresServer, Authority]]:
    """Run a server whose certificate is `localhost`'s, and say whom to trust for that."""
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder)
        authority = Authority(directory)
        certificate = authority.certificate("localhost")
        with PostgresServer(directory / "data", secrets.token_hex(), certificate=certificate) as server:
            yield server, authority
