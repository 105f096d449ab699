"""The schema by its migrations, on a real server; each test has a database of its own."""

import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, inspect, text

import migrations
from db import Database
from local.postgres import PostgresServer
from records import metadata


@pytest.fixture
def empty(make_database: Callable[..., Database], postgres: PostgresServer) -> Iterator[Callable[[], Engine]]:
    """Make engines on one new database."""
    name = f"migrated_{secrets.token_hex(4)}"
    server = make_database(postgres.url())
    with server.autocommit() as connection:
        connection.execute(text(f"create database {name}"))
    made: list[Database] = []

    def engine() -> Engine:
        made.append(make_database(postgres.url(database=name), pool_size=0))
        return made[-1].engine

    yield engine
    with server.autocommit() as connection:
        connection.execute(text(f"drop database {name} with (force)"))


def tables(engine: Engine) -> list[str]:
    with engine.connect() as connection:
        return sorted(inspect(connection).get_table_names())


def catalog(connection: Connection) -> list[tuple[object, ...]]:
    """Return the columns, constraints and indexes of `records` as the server describes them."""
    statement = """
        select attname::text, format_type(atttypid, atttypmod), collname::text, attnotnull, attidentity::text,
               pg_get_expr(adbin, adrelid)
          from pg_attribute
          left join pg_collation on pg_collation.oid = attcollation
          left join pg_attrdef on adrelid = attrelid and adnum = attnum
         where attrelid = 'records'::regclass and attnum > 0
        union all
        select conname, pg_get_constraintdef(oid), null, null, null, null
          from pg_constraint where conrelid = 'records'::regclass
        union all
        select indexname, indexdef, null, null, null, null from pg_indexes where tablename = 'records'
         order by 1, 2"""
    return [tuple(row) for row in connection.execute(text(statement))]


def test_an_empty_database_gets_the_schema(empty: Callable[[], Engine]) -> None:
    """From nothing to the last step."""
    migrations.upgrade(empty())
    assert tables(empty()) == ["alembic_version", "idempotency_keys", "records"]


def test_migrating_again_changes_nothing(empty: Callable[[], Engine]) -> None:
    """What is there stays, with its rows."""
    engine = empty()
    migrations.upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text("insert into records (name, payload) values ('kept', '{}')"))
    migrations.upgrade(engine)
    with engine.connect() as connection:
        assert connection.scalar(text("select count(*) from records")) == 1


def test_every_step_has_its_way_back(empty: Callable[[], Engine]) -> None:
    """Down to nothing, and up again."""
    engine = empty()
    migrations.upgrade(engine)
    migrations.downgrade(engine)
    assert tables(engine) == ["alembic_version"]
    migrations.upgrade(engine)
    assert "records" in tables(engine)


def test_two_that_migrate_at_once_do_it_one_after_the_other(empty: Callable[[], Engine]) -> None:
    """Four at once all succeed, and the schema is made once."""
    with ThreadPoolExecutor() as threads:
        list(threads.map(migrations.upgrade, [empty() for _ in range(4)]))
    assert "records" in tables(empty())


def test_the_models_and_the_migrated_schema_agree(empty: Callable[[], Engine]) -> None:
    """Alembic finds nothing to do, and the server describes both in the same words, checks and collations too."""
    migrated, made = empty(), empty()
    migrations.upgrade(migrated)
    with migrated.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
        by_migrations = catalog(connection)
    migrations.downgrade(migrated)
    with made.begin() as connection:
        metadata.create_all(connection)
        assert catalog(connection) == by_migrations
