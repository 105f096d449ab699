"""Rows 8, 23 and 24: passwords that change, a secret that cannot be had, tokens that expire."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from db import Database, DatabaseSettings, IamCredentials, LoginRefusedError, Secret, SecretError
from db.credentials.iam import auth_token
from db.environment.process import AwsIdentity
from local.postgres import PostgresServer
from tests.faults.proxy import Proxy
from tests.faults.server import asks_in_clear, run
from tests.faults.tls import Authority, TlsFront
from tests.noticing import Noticed
from tests.rotation.conftest import Application, who
from tests.rotation.rotation import set_password
from tests.rotation.trouble import JUNK_SECRET, TROUBLES, Answering

BOUND_S, INVOCATION_MS = 2.0, 2_500
"""What an invocation gives to the database, and how long it may last."""

# --- 8 ---


def test_each_step_of_a_rotation_is_noticed_in_time(application: Application, noticed: Noticed) -> None:
    """Row 8: the password has changed and the secret has not, then the secret too; no request fails, at any step."""
    database = application.environment(pool_size=0)
    assert who(database) == application.user
    for _ in application.rotation().steps():
        with noticed.within(BOUND_S, 8), database.invocation(INVOCATION_MS):
            assert who(database) == application.user


def test_a_password_that_nobody_knows_is_an_error_in_time(application: Application, noticed: Noticed) -> None:
    """Row 8: every version is tried once, then it is over."""
    database = application.environment(pool_size=0)
    application.rotation().run()
    set_password(application.admin, application.user, "nobody-knows-it")
    with noticed.within(BOUND_S, 8), pytest.raises(LoginRefusedError), database.invocation(INVOCATION_MS):
        who(database)


# --- 23 ---


@pytest.mark.parametrize("trouble", [*TROUBLES.values(), Answering("200 OK", "{}", 30)], ids=[*TROUBLES, "silent"])
def test_a_secret_that_cannot_be_had_is_an_error_in_time(
    application: Application, trouble: Answering, noticed: Noticed
) -> None:
    """Row 23: whatever Secrets Manager says, and for how long it says nothing."""
    database = application.environment(pool_size=0)
    with (
        application.manager.instead(trouble),
        noticed.within(BOUND_S, 23),
        pytest.raises(SecretError, match=application.secret_id) as raised,
        database.invocation(INVOCATION_MS),
    ):
        who(database)
    assert JUNK_SECRET not in str(raised.value)


# --- 24 ---

HOST, USER = "localhost", "iam_user"
KEYS = AwsIdentity(
    region="eu-central-1", access_key_id="AKIA", secret_access_key=Secret("key"), session_token=Secret("token")
)


@pytest.fixture(scope="module")
def in_clear(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    with asks_in_clear(tmp_path_factory.mktemp("iam") / "data", USER) as server:
        run(server, f"create role {USER} login")
        yield server


@pytest.mark.parametrize("jump", [timedelta(minutes=16), timedelta(hours=-1)], ids=["expired", "set back"])
def test_a_reconnect_has_the_token_of_its_moment(
    in_clear: PostgresServer, tmp_path: Path, jump: timedelta, pool_size: int, noticed: Noticed
) -> None:
    """Row 24: the connection has died and the server takes no token but this moment's; nobody notices."""
    authority, now = Authority(tmp_path), [datetime(2026, 11, 22, 8, 0, tzinfo=UTC)]
    with TlsFront(in_clear.port, authority.certificate(HOST)) as front, Proxy(front.port) as proxy:

        def takes_this_moments_token() -> None:
            token = auth_token(KEYS, HOST, proxy.port, USER, now[0]).reveal()
            run(in_clear, f"alter role {USER} password '{token}'")

        settings = DatabaseSettings(
            iam_user=USER, host=HOST, port=proxy.port, tls_ca=str(authority.file), pool_size=pool_size
        )
        credentials = IamCredentials(USER, settings.overrides(), lambda: KEYS, lambda: now[0])
        database = Database(settings, credentials=credentials)
        takes_this_moments_token()
        assert who(database) == USER
        now[0] += jump
        takes_this_moments_token()
        proxy.end()
        with noticed.within(settings.connect_timeout_s, 24):
            assert who(database) == USER
        database.close()
