"""The statements on records, as what they ask of the server."""

import re
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Connection, event, text
from sqlalchemy.engine.interfaces import DBAPICursor

import records
from db import Database
from local.postgres import PostgresServer
from records import Draft
from tests.canary import VALUE


@pytest.fixture
def connection(make_database: Callable[..., Database], no_records: PostgresServer) -> Iterator[Connection]:
    """A transaction on the empty table."""
    with make_database(no_records.url()).transaction() as connection:
        yield connection


Statements = list[str]


@pytest.fixture
def statements(connection: Connection) -> Statements:
    """What the connection has been asked for."""
    seen: Statements = []

    def note(_connection: Connection, _cursor: DBAPICursor, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(connection, "before_cursor_execute", note)
    return seen


def draft(name: str) -> Draft:
    return Draft(name=f"{VALUE} {name}", payload={"name": f"{VALUE} {name}"})


def test_many_records_are_one_statement(connection: Connection, statements: Statements) -> None:
    """Five hundred rows, one flight."""
    records.create_many(connection, [draft(f"item {number}") for number in range(500)])
    assert len(statements) == 1


def test_a_replacement_is_one_statement_unless_it_fails(connection: Connection, statements: Statements) -> None:
    """The version is checked where the row is locked; only a refusal asks why."""
    record = records.create(connection, draft("kettle"))
    statements.clear()
    records.replace(connection, record.id, draft("pot"), version=1)
    assert len(statements) == 1
    with pytest.raises(records.StaleVersionError, match="its version is 2"):
        records.replace(connection, record.id, draft("pan"), version=1)
    assert len(statements) == 3


MANY = """insert into records (name, payload)
          select 'item ' || lpad(n::text, 5, '0'), '{}' from generate_series(1, 10000) n"""


def test_a_page_costs_the_same_wherever_it_lies(connection: Connection) -> None:
    """Order, prefix and continuation come from the one index: nothing is sorted, nothing is skipped."""
    connection.execute(text(MANY))
    connection.execute(text("analyze records"))
    plan = explained(connection, lambda: records.list_page(connection, limit=10, prefix="item 0", after="item 05000"))
    assert "Index Scan using records_name_key" in plan
    assert re.search(r"Index Cond: .*name > 'item 05000'", plan)
    assert "Sort" not in plan


def explained(connection: Connection, work: Callable[[], object]) -> str:
    """Return the plan of the statement that `work` executes."""
    plans: list[str] = []

    def explain(_: Connection, cursor: DBAPICursor, statement: str, values: tuple[object, ...], *_rest: object) -> None:
        if not statement.startswith("EXPLAIN"):
            cursor.execute(f"EXPLAIN {statement}", values)
            plans.extend(row[0] for row in cursor.fetchall())

    event.listen(connection, "before_cursor_execute", explain)
    work()
    return "\n".join(plans)
