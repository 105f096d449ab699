"""Rows 3 and 21: what becomes of a lost session is found out without privileges."""

from collections.abc import Callable

import pytest
from sqlalchemy import text

from db import ConnectionLostError, Database
from local.postgres import PostgresServer
from tests.faults.proxy import Action, Direction, Fault, Proxy
from tests.faults.server import ordinary_url, run


def test_a_role_that_may_not_use_all_this_still_works(
    make_database: Callable[..., Database], fault_server: PostgresServer, pool_size: int
) -> None:
    """Rows 3 and 21: nothing of it needs a privilege."""
    url = ordinary_url(fault_server)
    database = make_database(url, pool_size=pool_size)
    run(fault_server, "drop table if exists owned")
    with database.transaction() as connection:
        connection.execute(text("create table owned (n int)"))
    with Proxy(fault_server.port) as proxy:
        database = make_database(url, port=proxy.port, pool_size=pool_size)
        with pytest.raises(ConnectionLostError), database.transaction() as connection:
            connection.execute(text("insert into owned values (1)"))
            proxy.inject(Fault(Action.SWALLOW, Direction.TO_SERVER))
        database.close()
    assert run(fault_server, "select count(*) from owned") == [(0,)]
