"""A server that lets in by every method, and a proxy that counts before it."""

import secrets
from collections.abc import Iterator

import pytest

from local.postgres import PostgresServer
from tests.faults.proxy import Proxy
from tests.integration.wire import connected

METHODS = ("scram-sha-256", "md5", "password", "trust")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server with a role for each method of login, named after it, all with the same password."""
    with PostgresServer(tmp_path_factory.mktemp("login") / "data", secrets.token_urlsafe()) as server:
        with connected(server, autocommit=True) as connection:
            for method in METHODS:
                encryption = "md5" if method == "md5" else "scram-sha-256"
                connection.cursor().execute(f"set password_encryption = '{encryption}'")
                connection.cursor().execute(f"create role \"{method}\" login password '{server.password}'")
        rules = [f'host all "{method}" 127.0.0.1/32 {method}\n' for method in METHODS]
        file = server.directory / "pg_hba.conf"
        file.write_text("".join(rules) + file.read_text())
        server.restart()
        yield server


@pytest.fixture
def proxy(server: PostgresServer) -> Iterator[Proxy]:
    """A counting proxy before it."""
    with Proxy(server.port) as running:
        yield running
