"""A secret whose server moves, as by a restore into a new cluster: looked at again soon, not when it is old."""

import json

import pytest

from db import Database, LoginRefusedError, UnreachableError
from db.credentials.stages import RETRY_S
from tests.faults.proxy import Proxy
from tests.rotation.conftest import Application, who


def move(application: Application, **where: object) -> None:
    """Write a new version, of the same user elsewhere."""
    content = json.loads(application.client.get_secret_value(SecretId=application.secret_id)["SecretString"])
    application.client.put_secret_value(SecretId=application.secret_id, SecretString=json.dumps({**content, **where}))
    application.reads()


def fail(database: Database) -> None:
    """Serve a request in vain."""
    with pytest.raises((UnreachableError, LoginRefusedError)), database.invocation(1_500):
        who(database)


def test_a_server_that_has_moved_is_found_half_a_minute_after_it_was_missed(application: Application) -> None:
    """No request waits for that: the first after half a minute looks, by one call, and so on till it is right."""
    database = application.environment(pool_size=0)
    with Proxy(application.server.port) as proxy:
        move(application, port=proxy.port)
        assert who(database) == application.user
    assert application.reads() == 1
    for _ in range(2):
        fail(database)
        application.clock.advance(RETRY_S - 1)
        fail(database)
        assert application.reads() == 0
        application.clock.advance(1)
        fail(database)
        assert application.reads() == 1
    move(application, port=application.server.port)
    application.clock.advance(RETRY_S)
    assert who(database) == application.user
    assert application.reads() == 1


def test_a_database_that_has_another_name_is_found_half_a_minute_after_it_was_missed(application: Application) -> None:
    """3D000 is no matter of passwords: nobody is made to wait, and the secret is looked at once each half a minute."""
    database = application.environment(pool_size=0)
    move(application, dbname="no_such_database")
    for _ in range(3):
        with pytest.raises(LoginRefusedError, match="3D000"):
            who(database)
    assert application.reads() == 1
    move(application, dbname="postgres")
    application.clock.advance(RETRY_S)
    assert who(database) == application.user
    assert application.reads() == 1
