"""What rides behind a statement or a COMMIT costs no flight, and harms nobody."""

from functools import partial

import pytest

from db.protocol.connection import Connection, Rider
from db.protocol.server_errors import ServerDataError
from tests.faults.proxy import Proxy
from tests.integration.protocol.conftest import count


def test_a_rider_travels_with_the_statement(connection: Connection, proxy: Proxy) -> None:
    """Its row is delivered, and no flight is added, with values and without."""
    delivered: list[object] = []
    connection.behind_statement = lambda: Rider("select pg_current_xact_id_if_assigned()::text", delivered.append)
    before = proxy.traffic()
    connection.cursor().execute("insert into t values (1)")
    connection.cursor().execute("insert into t values (%s)", (2,))
    assert (proxy.traffic() - before).flights == 2
    assert len(delivered) == 2
    assert delivered[0] == delivered[1] != [None]


def test_no_rider_joins_a_failed_transaction_or_a_statement_outside(connection: Connection) -> None:
    """It would fail, or be alone."""
    asked: list[str] = []

    def rider() -> None:
        asked.append("asked")

    connection.behind_statement = rider
    with pytest.raises(ServerDataError):
        connection.cursor().execute("select 1/0")
    asked.clear()
    connection.cursor().execute("rollback")
    connection.autocommit = True
    connection.cursor().execute("select 1")
    assert asked == []


def test_a_rider_behind_commit_costs_nothing_and_may_fail(connection: Connection, proxy: Proxy) -> None:
    """COMMIT has been answered: nothing behind it is the caller's business."""
    delivered: list[object] = []
    for number, statement in enumerate(["select 1/0", "select 42"]):
        connection.behind_commit = partial(Rider, statement, delivered.append)
        connection.cursor().execute("insert into t values (%s)", (number,))
        before = proxy.traffic()
        connection.commit()
        assert (proxy.traffic() - before).flights == 1
    assert delivered == [[42]]
    assert count(connection) == 2
