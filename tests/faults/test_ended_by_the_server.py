"""Rows 5 and 6: the server ends a statement, or a session, that takes too long."""

from collections.abc import Callable

import pytest
from sqlalchemy import text

from db import ConnectionLostError, Database, DeadlineExceededError
from local.postgres import PostgresServer
from tests.faults.asking import ask
from tests.faults.proxy import Proxy
from tests.faults.server import run, wait_until
from tests.noticing import Noticed


def test_a_statement_that_takes_too_long_keeps_its_connection(
    proxied: Database, proxy: Proxy, noticed: Noticed
) -> None:
    """Row 6: 57014 comes before the deadline, as a typed error; the session serves on."""
    bound_s = 2.0
    with proxied.autocommit() as connection:
        connection.execute(text("select 1"))
    connections = proxy.traffic().connections
    with (
        noticed.within(bound_s, 6),
        pytest.raises(DeadlineExceededError),
        proxied.invocation((bound_s + proxied.settings.reserve_s) * 1000),
        proxied.transaction() as connection,
    ):
        connection.execute(text("select pg_sleep(5)"))
    ask(proxied)
    if proxied.settings.pool_size:
        assert proxy.traffic().connections == connections


def test_a_transaction_that_idles_is_ended(
    make_database: Callable[..., Database],
    postgres: PostgresServer,
    pool_size: int,
    noticed: Noticed,
) -> None:
    """Row 5: 25P03 frees its locks in time; the handler hears of it by a typed error at its next statement."""
    run(postgres, "create table if not exists idled (n int)")
    pause_s = 2.0
    database = make_database(
        postgres.url(), pool_size=pool_size, idle_in_transaction_s=pause_s, application_name="idled"
    )
    with pytest.raises(ConnectionLostError), database.transaction() as connection:
        connection.execute(text("lock table idled"))
        held_s = wait_until(lambda: not run(postgres, "select 1 from pg_locks where relation = 'idled'::regclass"))
        connection.execute(text("select 1"))
    noticed(5, held_s, pause_s)
    assert ask(database) == 1


def test_a_transaction_that_takes_too_long_is_a_typed_error(proxied: Database, proxy: Proxy) -> None:
    """Row 5: 25P04, with which PostgreSQL 17 and later end the session; not run again, as it would last as long."""
    with proxied.autocommit() as connection:
        version: int = connection.scalar(text("select current_setting('server_version_num')::int"))
    says_it_itself = version >= 170000
    connections = proxy.traffic().connections
    with pytest.raises(DeadlineExceededError), proxied.transaction() as connection:
        connection.execute(text("set local transaction_timeout = '300ms'" if says_it_itself else "select 1"))
        connection.execute(text("select pg_sleep(5)" if says_it_itself else "do 'begin raise sqlstate ''25P04''; end'"))
    assert proxy.traffic().connections - connections <= 1
    assert ask(proxied) == 1
