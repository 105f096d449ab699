"""A user whose password is right, and who may not connect: told apart from a server that is away, and not hammered."""

from collections.abc import Callable, Iterator

import pytest

from db import LoginRefusedError
from tests.faults.proxy import Proxy
from tests.rotation.conftest import Application, who
from tests.rotation.test_elsewhere import move

REQUESTS = 5


@pytest.fixture
def in_closed(application: Application) -> Iterator[Callable[[str], None]]:
    """The application's secret leads to a database of its own; what is returned runs a statement about that."""
    name = f'"{application.user}-closed"'

    def by_admin(statement: str) -> None:
        with application.admin.autocommit() as connection:
            connection.exec_driver_sql(statement.format(closed=name, user=f'"{application.user}"'))

    by_admin("create database {closed}")
    move(application, dbname=name.strip('"'))
    yield by_admin
    by_admin("drop database {closed} with (force)")


@pytest.mark.parametrize(
    ("sqlstate", "shut", "opened"),
    [
        (
            "42501",
            "revoke connect on database {closed} from public",
            "grant connect on database {closed} to {user}",
        ),
        (
            "55000",
            "alter database {closed} allow_connections false",
            "alter database {closed} allow_connections true",
        ),
    ],
    ids=["no right to", "nobody may"],
)
def test_who_may_not_connect_is_told_so_at_once(
    application: Application, in_closed: Callable[[str], None], sqlstate: str, shut: str, opened: str
) -> None:
    """Each request asks once: the server is there, and says the same until somebody changes it."""
    in_closed(shut)
    with Proxy(application.server.port) as proxy:
        database = application.environment(pool_size=0, port=proxy.port)
        for _ in range(REQUESTS):
            with pytest.raises(LoginRefusedError, match=sqlstate):
                who(database)
        assert len(proxy.links) == REQUESTS
        in_closed(opened)
        assert who(database) == application.user
