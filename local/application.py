"""What the functions find at the server: a role, a database with the schema, a secret with the login.

Knows nothing of Lambda.
"""

import json
import secrets
import ssl
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pg8000.native
import trustme

import migrations
from db import Database, DatabaseSettings, Tls
from local.postgres import PostgresServer

ROLE = "slotwise"
SECRET_ID = "slotwise/database"  # noqa: S105 - its name


@dataclass(frozen=True, slots=True)
class Certificates:
    """An authority that only this stack trusts, and the server's certificate from it."""

    server: Path
    authority: Path

    @classmethod
    def issue(cls, folder: Path) -> "Certificates":
        """Make both, for 127.0.0.1 and for what Docker's containers call this machine."""
        made = cls(folder / "server.pem", folder / "authority.pem")
        authority = trustme.CA()
        made.server.touch(mode=0o600)
        names = ("127.0.0.1", "host.docker.internal")
        authority.issue_cert(*names).private_key_and_cert_chain_pem.write_to_path(str(made.server))
        authority.cert_pem.write_to_path(str(made.authority))
        return made


@dataclass(frozen=True, slots=True)
class Application:
    """The application's share of a server."""

    server: PostgresServer
    certificates: Certificates | None
    password: str = field(default_factory=secrets.token_urlsafe, repr=False)

    @property
    def tls_variables(self) -> dict[str, str]:
        """The settings with which the functions verify this server, or know that it has no TLS."""
        if self.certificates is None:
            return {"DB_TLS": Tls.INSECURE_LOCAL_ONLY}
        return {"DB_TLS": Tls.VERIFY_FULL, "DB_TLS_CA": self.certificates.authority.read_text()}

    def secret(self) -> str:
        """Return the login as RDS would keep it.

        https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html
        """
        login = {"username": ROLE, "password": self.password, "host": "127.0.0.1", "port": self.server.port}
        return json.dumps({"engine": "postgres", **login, "dbname": ROLE})

    def create(self) -> None:
        """Create role and database, as an administrator would: with a driver of their own, and no part of `db`."""
        authority = ssl.create_default_context(cafile=self.certificates.authority) if self.certificates else False
        server = self.server
        administrator = pg8000.native.Connection(
            "postgres", host="127.0.0.1", port=server.port, password=server.password, ssl_context=authority
        )
        with closing(administrator):
            administrator.run(f"create role {ROLE} login password '{self.password}'")
            administrator.run(f"create database {ROLE} owner {ROLE}")

    def migrate(self) -> None:
        """Bring the schema up to date."""
        with closing(self._database(self.server.url(ROLE, self.password, ROLE))) as database:
            migrations.upgrade(database.engine)

    def _database(self, url: str) -> Database:
        return Database(DatabaseSettings.from_env({"DATABASE_URL": url, "DB_POOL_SIZE": "0", **self.tls_variables}))
