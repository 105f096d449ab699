"""A password that is wrong and stays wrong: an error in time, an account that is not hammered."""

import json
import time
from collections import Counter

import pytest

from db import Database, DatabaseSettings, LoginRefusedError, Tls
from db.credentials.stages import CALLS_A_MINUTE
from local.postgres import PostgresServer
from tests.faults.proxy import Proxy
from tests.rotation.conftest import Application, who
from tests.rotation.rotation import set_password

REQUESTS = 40


def outcomes(database: Database) -> Counter[str]:
    """Serve many requests; count what became of them."""
    seen: Counter[str] = Counter()
    for _ in range(REQUESTS):
        with pytest.raises(LoginRefusedError) as raised:
            who(database)
        seen["refused by the server" if raised.value.__cause__ else "not asked"] += 1
    return seen


def test_a_wrong_password_in_every_version_reaches_the_server_a_few_times(application: Application) -> None:
    """Row 8: two versions, both wrong: two logins, then nobody is asked until a pause is over; all is well after."""
    application.rotation().run()
    application.reads()
    set_password(application.admin, application.user, "nobody-knows-it")
    with Proxy(application.server.port) as proxy:
        database = application.environment(pool_size=0, port=proxy.port)
        began = time.monotonic()
        rounds = outcomes(database)["refused by the server"]
        assert 1 <= rounds <= 1 + (time.monotonic() - began) // 4
        assert len(proxy.links) <= rounds * 2, "two versions a round"
    assert application.reads() <= CALLS_A_MINUTE


def test_the_error_says_who_was_refused_and_with_what(application: Application) -> None:
    """Whoever reads the log learns the user, the server and the secret, and no password."""
    set_password(application.admin, application.user, "nobody-knows-it")
    database = application.environment(pool_size=0)
    with pytest.raises(LoginRefusedError) as raised:
        who(database)
    message = str(raised.value)
    assert "28P01" in message
    assert application.user in message
    content = json.loads(application.client.get_secret_value(SecretId=application.secret_id)["SecretString"])
    assert content["password"] not in message


def test_a_database_that_does_not_exist_is_not_a_matter_of_passwords(application: Application) -> None:
    """3D000 asks Secrets Manager nothing more and makes nobody wait."""
    database = application.environment(pool_size=0, name="no_such_database")
    for _ in range(3):
        with pytest.raises(LoginRefusedError, match="3D000"):
            who(database)
    assert application.reads() == 1


def test_a_fixed_password_that_is_wrong_is_tried_once_a_pause(postgres: PostgresServer) -> None:
    """Bounded attempts hold for every kind of credentials."""
    with Proxy(postgres.port) as proxy:
        url = f"postgres://postgres:wrong@127.0.0.1:{proxy.port}/postgres"
        database = Database(DatabaseSettings(url=url, tls=Tls.INSECURE_LOCAL_ONLY, pool_size=0))
        began = time.monotonic()
        refused = outcomes(database)["refused by the server"]
        assert refused <= 1 + (time.monotonic() - began) // 4
        assert len(proxy.links) <= refused * 2
