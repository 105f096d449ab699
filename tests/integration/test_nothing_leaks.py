"""Promise 5 on a real server: no password and no bound value in any error, its causes, or its frames."""

import logging
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DataError, SQLAlchemyError, StatementError

from db import Database, DatabaseSettings, SlotwiseError, Tls
from db.failures import sqlstate
from local.postgres import PostgresServer
from tests.canary import PASSWORD, VALUE
from tests.reporters import Hidden, everything_shown

STATEMENTS = {
    "22P02": "select cast(cast(:value as text) as int)",
    "22001": "select cast(repeat(:value, 1) as varchar(3)) from generate_series(1, 1) where length(:value) = -1 "
    "union all select cast(:value as int4range)::text",
    "23505": "insert into disclosed (name) values (:value)",
    "23502": "insert into disclosed (name, must) values (:value, null)",
    "23514": "insert into disclosed (name, small) values (:value, 1000)",
    "42883": "select no_such_function(:value)",
    "42601": "select :value from from",
    "P0001": "select disclose(:value)",
    "57014": "select cast(:value as text), pg_sleep(10)",
    "42601 in a query of words": "select to_tsquery('simple', :value || ' x')",
    "42601 in a type's name": "select to_regtype('x ' || :value)",
    "42601 in a query in a value": "select query_to_xml('x' || :value, true, true, '')",
    "42601 in a query in a function": "select executed(:value)",
    "42704 of a setting": "select current_setting(:value)",
    "42704 of a role": "select has_table_privilege(:value, 'pg_class', 'select')",
    "42703": "select pg_get_serial_sequence('pg_class', :value)",
    "42P01": "select has_table_privilege(replace(:value, '-', ''), 'select')",
    "3F000": "select has_schema_privilege(:value, 'usage')",
    "3D000": "select has_database_privilege(:value, 'connect')",
    "34000": "select cursor_to_xml(:value, 1, true, true, '')",
    "0A000": "select to_regclass(replace(:value, '-', '') || '.b.c')",
    "54000": "select cast(repeat(replace(:value, '-', ''), 1000) as tsquery)",
    "58P01 of a file": "select pg_read_file(:value)",
    "58P01 of a large object": "select lo_import(:value)",
    "22023": "select set_config('role', :value, true)",
}
OF_WHAT_IS_THERE = {
    "42501 of a role": "select set_config('role', :value, true)",
    "42501 of a sequence": "select nextval(quote_ident(:value))",
    "42501 of a schema": "select cast(quote_ident(:value) || '.t' as regclass)",
    "55000": "select currval(quote_ident(:value))",
}
NAMED = ("sequence", "schema", "role")
"""What is there, and has the value for its name."""
PARTS = (VALUE, VALUE.replace("-", ""), VALUE.partition("-")[0])
"""What of the value a message may quote."""


@pytest.fixture
def disclosed(database: Database) -> Database:
    """A table with every constraint, a row in it, and a function that says what it was given."""
    with database.transaction() as connection:
        connection.exec_driver_sql("drop table if exists disclosed")
        connection.exec_driver_sql(
            "create table disclosed (name text unique, must int not null default 1, small int check (small < 10))"
        )
        connection.execute(text("insert into disclosed (name) values (:value)"), {"value": VALUE})
        connection.exec_driver_sql(
            "create or replace function disclose(given text) returns int language plpgsql as "
            "$$ begin raise exception 'given: %', given; end $$"
        )
        connection.exec_driver_sql(
            "create or replace function executed(given text) returns int language plpgsql as "
            "$$ begin execute 'select ' || given; return 1; end $$"
        )
    return database


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_failed_statement_shows_no_value(disclosed: Database, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Neither the error nor what led to it, nor the frames of SQLAlchemy and the driver, show what was bound."""
    value = Hidden(VALUE)
    caplog.set_level(logging.DEBUG)

    def handler() -> None:
        with disclosed.invocation(1500), disclosed.transaction() as connection:
            connection.execute(text(STATEMENTS[name]), {"value": value()})

    with pytest.raises((SQLAlchemyError, SlotwiseError)) as raised:
        handler()
    seen = everything_shown(raised.value)
    assert "in handler" in seen, "the handler's own line stays"
    assert [part for part in PARTS if part in seen + caplog.text] == []


@pytest.fixture
def named(database: Database) -> Iterator[Database]:
    """A server that has what is called like the value."""
    with database.transaction() as connection:
        for kind in NAMED:
            connection.exec_driver_sql(f'create {kind} "{VALUE}"')
        connection.exec_driver_sql(f'grant select on sequence "{VALUE}" to pg_monitor')
    yield database
    with database.transaction() as connection:
        for kind in NAMED:
            connection.exec_driver_sql(f'drop {kind} "{VALUE}"')


@pytest.mark.parametrize("name", OF_WHAT_IS_THERE)
def test_the_name_of_what_is_there_is_not_shown_where_it_is_a_value(named: Database, name: str) -> None:
    """The server names what a value means as it names a table in the statement."""
    value = Hidden(VALUE)
    with pytest.raises(SQLAlchemyError) as raised, named.transaction() as connection:
        connection.exec_driver_sql("set local session authorization pg_monitor")
        connection.execute(text(OF_WHAT_IS_THERE[name]), {"value": value()})
    assert sqlstate(raised.value) == name[:5]
    assert VALUE not in everything_shown(raised.value)


def test_a_refused_login_shows_no_password(postgres: PostgresServer, pool_size: int) -> None:
    """The error names user and server; neither its causes nor any frame hold the password."""
    url = Hidden(f"postgres://postgres:{PASSWORD}@127.0.0.1:{postgres.port}/postgres")
    seen = failed_connect(url, pool_size, connect_timeout_s=10)
    assert "28P01" in seen
    assert PASSWORD not in seen


def test_a_setting_that_has_no_bytes_shows_no_password(postgres: PostgresServer, pool_size: int) -> None:
    """What Python raises for it holds all that was to be written at once: the password is part of that."""
    url = Hidden(f"postgres://postgres:{PASSWORD}@127.0.0.1:{postgres.port}/postgres")
    seen = failed_connect(url, pool_size, application_name="\udce9")
    assert "UnicodeEncodeError" in seen, "what it was is said"
    assert PASSWORD not in seen


def failed_connect(url: Hidden, pool_size: int, **settings: Any) -> str:  # noqa: ANN401 - the test names the fields
    """Return what the noisiest reporters show of a connect that fails."""
    options: dict[str, Any] = {"pool_size": pool_size, "connect_timeout_s": 1, **settings}
    database = Database(DatabaseSettings(url=url(), tls=Tls.INSECURE_LOCAL_ONLY, **options))
    with pytest.raises(SlotwiseError) as raised, database.invocation(15_000), database.transaction():
        pass
    shown = everything_shown(raised.value)
    assert PASSWORD not in repr(vars(database))
    return shown


REPLIES = {
    "closes at once": b"",
    "cleartext, then junk": b"R\0\0\0\x08\0\0\0\x03Zjunkjunkjunk",
    "md5, then an unknown message": b"R\0\0\0\x0c\0\0\0\x05salt?\0\0\0\x04",
    "an unknown method": b"R\0\0\0\x08\0\0\0\x63",
    "SCRAM with impossible parameters": b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0R\0\0\0\x10\0\0\0\x0br=x,s=,i",
    "a length that lies": b"R\xff\xff\xff\xff",
    "an error that echoes": b"E\0\0\0\x0eC28P01\0Mno\0\0",
}


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
def test_whatever_a_server_says_the_password_is_in_no_frame(reply: bytes) -> None:
    """Junk in the middle of a login ends in a typed error, and its frames hold nothing."""
    with junk_server(reply) as port:
        seen = failed_connect(Hidden(f"postgres://u:{PASSWORD}@127.0.0.1:{port}/d"), 0)
    assert PASSWORD not in seen


@contextmanager
def junk_server(reply: bytes) -> Iterator[int]:
    """Listen, and answer whatever comes with `reply`; yield the port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        try:
            while True:
                client, _ = listener.accept()
                with client:
                    client.recv(4096)
                    client.sendall(reply)
        except OSError:
            return

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(10)


UNSENDABLE: dict[str, tuple[Any, Callable[[str], Any]]] = {
    "half of a surrogate pair": (DataError, lambda value: {"value": f"{value}\ud83d"}),
    "the same among many": (DataError, lambda value: [{"value": "x"}, {"value": f"{value}\ud83d"}]),
    "no JSON": (StatementError, lambda value: {"value": {"a": value, "b": {1}}}),
}


@pytest.mark.parametrize("name", UNSENDABLE)
def test_a_value_that_cannot_be_sent_is_not_shown(database: Database, name: str) -> None:
    """Whatever is raised for it, below SQLAlchemy or in it: its own message and what led to it hold nothing either."""
    value, (kind, values) = Hidden(VALUE), UNSENDABLE[name]
    of_json = bindparam("value", type_=JSONB)
    statement = text("select :value").bindparams(of_json) if kind is StatementError else text("select :value")
    with pytest.raises(kind) as raised, database.transaction() as connection:
        connection.execute(statement, values(value()))
    seen = everything_shown(raised.value)
    assert "in test_a_value" in seen, "the handler's own line stays"
    assert VALUE not in seen
