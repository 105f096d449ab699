"""A borrow over both kinds of pool, on a real server."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from db import Database
from db.protocol.connection import Connection as Session


def test_a_transaction_is_committed_at_its_end(database: Database) -> None:
    """What was done inside is there for the next borrower."""
    with database.transaction() as connection:
        connection.execute(text("drop table if exists kept"))
        connection.execute(text("create table kept (n int)"))
        connection.execute(text("insert into kept values (:n)"), {"n": 1})
    with database.autocommit() as connection:
        assert connection.scalar(text("select n from kept")) == 1


def test_a_transaction_is_rolled_back_on_an_error(database: Database) -> None:
    """What the handler did before it failed is undone, and the connection serves again."""

    class HandlerError(Exception):
        pass

    with database.autocommit() as connection:
        connection.execute(text("create table if not exists undone (n int)"))
    with pytest.raises(HandlerError), database.transaction() as connection:
        connection.execute(text("insert into undone values (1)"))
        raise HandlerError
    with database.autocommit() as connection:
        assert connection.scalar(text("select count(*) from undone")) == 0


def test_a_statement_error_stays_sqlalchemys_own(database: Database) -> None:
    """A handler catches what SQLAlchemy's documentation says."""
    with pytest.raises(SQLAlchemyError), database.transaction() as connection:
        connection.execute(text("select * from no_such_table"))


def test_what_autocommit_has_answered_is_committed(database: Database) -> None:
    """Also a statement without parameters, which goes by the simple protocol; the connection serves on."""
    with database.autocommit() as connection:
        connection.execute(text("drop table if exists answered"))
        connection.execute(text("create table answered (n int)"))
        connection.execute(text("insert into answered values (1)"))
    database.close()
    with database.autocommit() as connection:
        assert connection.scalar(text("select count(*) from answered")) == 1
        assert connection.scalar(text("select count(*) from answered")) == 1


def test_a_read_only_borrow_leaves_nothing_to_the_next(database: Database) -> None:
    """Neither READ ONLY, which the next may not want, nor READ WRITE, which a standby refuses."""
    read_only = database.engine.execution_options(postgresql_readonly=True)
    with read_only.connect() as connection:
        assert connection.scalar(text("show transaction_read_only")) == "on"
    with database.engine.connect() as connection:
        session = connection.connection.dbapi_connection
        assert isinstance(session, Session)
        assert session.modes.read_only is None
        assert connection.scalar(text("show transaction_read_only")) == "off"
