"""What a deployment finds: a server with an empty database, its administrator, and secrets with everybody's logins.

The roles of application and monitor, and the schema, are made by the provision function. Knows nothing of Lambda.
"""

import json
import secrets
import ssl
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import pg8000.native
import trustme

from db import Tls
from db.environment.endpoint import DOCKERS_HOST
from local.binaries import counts_statements
from local.postgres import PostgresServer
from provision.monitoring import RIGHTS

DATABASE = "slotwise"
APPLICATIONS_SECRET, MONITORS_SECRET = "slotwise/application", "slotwise/monitor"
ADMINISTRATORS_SECRET = "slotwise/administrator"  # noqa: S105 - its name
ROLES = MappingProxyType(
    {
        APPLICATIONS_SECRET: "slotwise",
        MONITORS_SECRET: "slotwise_monitor",
        ADMINISTRATORS_SECRET: "slotwise_admin",
    }
)
"""Who logs in, by the name of the secret."""


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
        names = ("127.0.0.1", DOCKERS_HOST)
        authority.issue_cert(*names).private_key_and_cert_chain_pem.write_to_path(str(made.server))
        authority.cert_pem.write_to_path(str(made.authority))
        return made


@dataclass(frozen=True, slots=True)
class Application:
    """The application's share of a server."""

    server: PostgresServer
    certificates: Certificates | None
    _passwords: dict[str, str] = field(
        default_factory=lambda: {role: secrets.token_urlsafe() for role in ROLES.values()}, repr=False
    )

    @property
    def tls_variables(self) -> dict[str, str]:
        """The settings with which the functions verify this server, or know that it has no TLS."""
        if self.certificates is None:
            return {"DB_TLS": Tls.INSECURE_LOCAL_ONLY}
        return {"DB_TLS": Tls.VERIFY_FULL, "DB_TLS_CA": self.certificates.authority.read_text()}

    def logins(self) -> dict[str, str]:
        """Return every login by its secret's name, as RDS would keep it.

        https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html
        """
        return {secret_id: self._secret(role) for secret_id, role in ROLES.items()}

    def _secret(self, role: str) -> str:
        login = {"username": role, "password": self._passwords[role], "host": "127.0.0.1", "port": self.server.port}
        return json.dumps({"engine": "postgres", **login, "dbname": DATABASE})

    def create(self) -> None:
        """Create database and administrator as RDS does: no superuser, who may hand on the rights of a monitor."""
        administrator = ROLES[ADMINISTRATORS_SECRET]
        with closing(self._superuser("postgres")) as superuser:
            password = self._passwords[administrator]
            superuser.run(f"create role {administrator} login createdb createrole password '{password}'")
            superuser.run(f"create database {DATABASE} owner {administrator}")
            known = superuser.run("select rolname from pg_roles where rolname = any(:rights)", rights=list(RIGHTS))
            for (right,) in known:
                superuser.run(f"grant {right} to {administrator} with admin option")
        if counts_statements(self.server.binaries):
            with closing(
                self._superuser(DATABASE)
            ) as superuser:  # RDS's administrator does it himself, while provisioning
                superuser.run("create extension pg_stat_statements")

    def _superuser(self, database: str) -> pg8000.native.Connection:
        authority = ssl.create_default_context(cafile=self.certificates.authority) if self.certificates else False
        server = self.server
        return pg8000.native.Connection(
            "postgres", "127.0.0.1", database, server.port, server.password, ssl_context=authority
        )
