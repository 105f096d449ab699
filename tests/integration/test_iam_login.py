"""IAM authentication against a server that asks as RDS does: in clear, over TLS."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from db import Database, DatabaseSettings, IamCredentials, LoginRefusedError, Secret, Tls
from db.credentials.iam import auth_token
from db.environment.process import AwsIdentity
from local.postgres import PostgresServer
from tests.faults.server import asks_in_clear
from tests.faults.tls import Authority, TlsFront

HOST, USER = "localhost", "iam_user"
NOW = datetime(2026, 11, 22, 8, 0, tzinfo=UTC)


def identity() -> AwsIdentity:
    return AwsIdentity(
        region="eu-central-1",
        access_key_id="AKIA",
        secret_access_key=Secret("key"),
        session_token=Secret("token" * 100),
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server of its own, which asks one user for a password in clear, as RDS asks who has the role rds_iam."""
    with asks_in_clear(tmp_path_factory.mktemp("iam") / "data", USER) as made:
        yield made


@pytest.fixture
def front(server: PostgresServer, tmp_path: Path) -> Iterator[tuple[TlsFront, Path]]:
    """TLS in front of it, with an authority of its own."""
    authority = Authority(tmp_path)
    with TlsFront(server.port, authority.certificate(HOST)) as started:
        yield started, authority.file


def database_at(front: TlsFront, authority: Path, now: datetime = NOW) -> Database:
    settings = DatabaseSettings(iam_user=USER, host=HOST, port=front.port, tls_ca=str(authority), pool_size=0)
    return Database(settings, credentials=IamCredentials(USER, settings.overrides(), identity, lambda: now))


def test_a_token_logs_in_over_verified_tls(server: PostgresServer, front: tuple[TlsFront, Path]) -> None:
    """The token goes where the certificate says that it may go, and opens a session."""
    token = auth_token(identity(), HOST, front[0].port, USER, NOW).reveal()
    admin = Database(DatabaseSettings(url=server.url(), tls=Tls.INSECURE_LOCAL_ONLY, pool_size=0))
    with admin.autocommit() as connection:
        connection.exec_driver_sql(f"drop role if exists {USER}")
        connection.exec_driver_sql(f"create role {USER} login password '{token}'")
    with database_at(*front).autocommit() as connection:
        assert connection.exec_driver_sql("select current_user").scalar_one() == USER


def test_a_token_of_another_moment_is_refused_once(front: tuple[TlsFront, Path]) -> None:
    """What the server does not take is not tried again at once: nobody has another token."""
    database = database_at(*front, NOW.replace(hour=9))
    for _ in range(5):
        with pytest.raises(LoginRefusedError) as raised, database.autocommit():
            pass
        assert "X-Amz" not in str(raised.value)
