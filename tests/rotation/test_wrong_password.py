"""A password that is wrong and stays wrong: an error in time, an account that is not hammered."""

import json
import time
from collections import Counter

import pytest

from db import Database, DatabaseSettings, LoginRefusedError, SecretError, Tls
from db.credentials.calls import CALLS_AT_ONCE, ONE_MORE_S
from local.postgres import PostgresServer
from tests.faults.proxy import Proxy
from tests.rotation.conftest import Application, who
from tests.rotation.rotation import set_password
from tests.rotation.trouble import MARGIN_S, TROUBLES, Once

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
    assert application.reads() <= CALLS_AT_ONCE + (time.monotonic() - began) / ONE_MORE_S


def test_the_error_says_who_was_refused_and_with_what(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads the log learns the user, the server and the secret, and no password; also while nobody is asked.

    The client learns when that is over.
    """
    monkeypatch.setattr("db.credentials.refusals.FrozenTimeClock", lambda: application.clock)
    set_password(application.admin, application.user, "nobody-knows-it")
    database = application.environment(pool_size=0)
    content = json.loads(application.client.get_secret_value(SecretId=application.secret_id)["SecretString"])
    for kind, retry_after_s in (("^refused", 5), ("^the server refused every login 1 times in a row: not asked", 2)):
        with pytest.raises(LoginRefusedError, match=kind) as raised:
            who(database)
        message = str(raised.value)
        assert "28P01" in message
        assert f"{application.user} at 127.0.0.1:{application.server.port} " in message
        assert f"of secret {application.secret_id})" in message
        assert content["password"] not in message
        assert raised.value.retry_after_s == retry_after_s
        application.clock.advance(3)


@pytest.mark.usefixtures("asked_by")
def test_a_refused_login_says_why_there_is_no_newer_secret(application: Application) -> None:
    """Whoever reads the log learns, too, that Secrets Manager did not answer, and what it said."""
    database = application.environment(pool_size=0)
    who(database)
    set_password(application.admin, application.user, "nobody-knows-it")
    with application.manager.instead(TROUBLES["throttled"]), pytest.raises(LoginRefusedError) as raised:
        who(database)
    assert f"secret {application.secret_id} cannot be read: ThrottlingException" in str(raised.value)


@pytest.mark.usefixtures("asked_by")
def test_only_the_first_question_of_an_outage_is_asked_twice(application: Application) -> None:
    """Throttled, a process that knows nothing yet asks so many times, and no more, and says why to the last."""
    database = application.environment(pool_size=0)
    said: list[str] = []
    with application.manager.instead(TROUBLES["throttled"]):
        for _ in range(CALLS_AT_ONCE):
            with pytest.raises(SecretError, match=application.secret_id) as raised:
                who(database)
            said.append(str(raised.value))
    assert application.reads() == CALLS_AT_ONCE
    assert all("ThrottlingException" in reason for reason in said)
    assert ["in a row" in reason for reason in said] == [False] * (CALLS_AT_ONCE - 1) + [True]


def test_every_version_wrong_ends_within_the_deadline(application: Application) -> None:
    """A Secrets Manager that says AWSCURRENT, and nothing more, does not hold up who is refused."""
    application.rotation().run()
    set_password(application.admin, application.user, "nobody-knows-it")
    database = application.environment(pool_size=0)
    began = time.monotonic()
    with (
        application.manager.instead(Once(application.manager.application, TROUBLES["stalls"])),
        database.invocation(5_500),
        pytest.raises(LoginRefusedError),
    ):
        who(database)
    assert time.monotonic() - began < 5.5 + MARGIN_S


def test_a_login_that_is_not_authorized_is_a_matter_of_the_secret(application: Application) -> None:
    """28000, as of a user that may not log in any more: another version may name another one."""
    database = application.environment(pool_size=0)
    who(database)
    application.rotation(alternating=True).run()
    application.reads()
    with application.admin.transaction() as connection:
        connection.exec_driver_sql(f'alter role "{application.user}" nologin')
    assert who(database) == f"{application.user}_clone"
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
