"""A borrow over both kinds of pool, on a real server."""

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError, PendingRollbackError, SQLAlchemyError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from db import Database
from db.protocol.connection import Connection as DriverConnection


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


class Base(DeclarativeBase):
    pass


class Flushed(Base):
    __tablename__ = "flushed"
    n: Mapped[int] = mapped_column(primary_key=True)


@pytest.fixture
def one_row(database: Database) -> Database:
    with database.transaction() as connection:
        connection.execute(text("drop table if exists flushed"))
        connection.execute(text("create table flushed (n int primary key)"))
        connection.execute(text("insert into flushed values (1)"))
    return database


def fail_to_flush(session: Session) -> None:
    session.add(Flushed(n=2))
    session.flush()
    session.add(Flushed(n=1))
    with pytest.raises(IntegrityError):
        session.flush()


def rows(database: Database) -> int:
    with database.autocommit() as connection:
        return connection.execute(select(func.count()).select_from(Flushed)).scalar_one()


def test_a_session_whose_flush_has_failed_does_not_end_as_if_it_were_committed(one_row: Database) -> None:
    """What had been flushed before is gone with it, and the handler that caught the error is told so."""
    with pytest.raises(PendingRollbackError), one_row.session() as session:
        fail_to_flush(session)
    assert rows(one_row) == 1


def test_a_session_whose_failed_flush_was_rolled_back_ends_well(one_row: Database) -> None:
    """The handler has dealt with it."""
    with one_row.session() as session:
        fail_to_flush(session)
        session.rollback()
    assert rows(one_row) == 1


def test_a_read_only_borrow_leaves_nothing_to_the_next(database: Database) -> None:
    """Neither READ ONLY, which the next may not want, nor READ WRITE, which a standby refuses."""
    read_only = database.engine.execution_options(postgresql_readonly=True)
    with read_only.connect() as connection:
        assert connection.scalar(text("show transaction_read_only")) == "on"
    with database.engine.connect() as connection:
        session = connection.connection.dbapi_connection
        assert isinstance(session, DriverConnection)
        assert session.modes.read_only is None
        assert connection.scalar(text("show transaction_read_only")) == "off"
