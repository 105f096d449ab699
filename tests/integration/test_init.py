"""What INIT does ahead, so that the first invocation costs what a warm one does."""

from collections.abc import Callable

import pytest
from sqlalchemy import text

from db import Database, UnreachableError
from db.environment.lifecycle import Lifecycle
from db.environment.process import LambdaProcess
from db.settings import AtInit
from local.postgres import PostgresServer, free_port
from tests.faults.proxy import Proxy

IN_LAMBDA = LambdaProcess(runtime_api=f"127.0.0.1:{free_port()}")


def init(database: Database) -> None:
    """Do what handlers/environment.py does when it is imported."""
    life = Lifecycle(database, IN_LAMBDA)
    life.begin()
    life.ready()


def one(database: Database) -> int:
    with database.autocommit() as connection:
        value: int = connection.scalar(text("select 1"))
    return value


def test_the_first_borrow_costs_one_flight_where_init_has_connected(
    make_database: Callable[..., Database], postgres: PostgresServer
) -> None:
    """As many as a warm one."""
    with Proxy(postgres.port) as proxy:
        url = f"postgresql://postgres:{postgres.password}@127.0.0.1:{proxy.port}/postgres"
        database = make_database(url, at_init=AtInit.CONNECTION)
        init(database)
        before = proxy.traffic()
        assert one(database) == 1
        assert (proxy.traffic() - before).flights == 1


def test_init_opens_nothing_unless_it_is_told_to(
    make_database: Callable[..., Database], postgres: PostgresServer
) -> None:
    """A slot of the server is taken when it is needed; the secret alone is no connection."""
    with Proxy(postgres.port) as proxy:
        url = f"postgresql://postgres:{postgres.password}@127.0.0.1:{proxy.port}/postgres"
        init(make_database(url))
        assert proxy.traffic().connections == 0


def test_init_survives_a_database_that_is_away(make_database: Callable[..., Database]) -> None:
    """The function starts; its first borrow says what is wrong."""
    url = f"postgresql://nobody:secret@127.0.0.1:{free_port()}/none"
    database = make_database(url, at_init=AtInit.CONNECTION, connect_timeout_s=0.3)
    init(database)
    with pytest.raises(UnreachableError):
        one(database)
