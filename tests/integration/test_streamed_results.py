"""Results that come piece by piece, by SQLAlchemy's stream_results and yield_per: a cursor of the server's."""

from collections.abc import Callable

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DataError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from db import Database
from local.postgres import PostgresServer
from tests.faults.proxy import Proxy

NUMBERS = text("select n from generate_series(1, 1000) n where n > :n order by n")


def test_a_result_comes_in_pieces(make_database: Callable[..., Database], postgres: PostgresServer) -> None:
    """Each a flight of its own, so that no more of it is in memory."""
    with Proxy(postgres.port) as proxy:
        database = make_database(postgres.url(), port=proxy.port, pool_size=1)
        with database.invocation(10_000), database.transaction() as connection:
            before = proxy.traffic()
            streamed = connection.execution_options(yield_per=100).execute(NUMBERS, {"n": 5})
            assert [next(streamed)[0] for _ in range(50)] == list(range(6, 56))
            part = proxy.traffic() - before
            assert [row[0] for row in streamed] == list(range(56, 1001))
            assert part.to_client * 4 < (proxy.traffic() - before).to_client
        database.close()


def test_a_result_that_is_left_or_fails_half_way_leaves_a_clean_connection(database: Database) -> None:
    """The cursor ends with its transaction."""
    with database.transaction() as connection:
        next(connection.execution_options(stream_results=True, max_row_buffer=10).execute(NUMBERS, {"n": 0}))
    with pytest.raises(DataError), database.transaction() as connection:
        result = connection.execution_options(yield_per=10).execute(
            text("select 1 / (50 - n) from generate_series(1, 99) n")
        )
        assert len(result.all()) == 0
    with database.transaction() as connection:
        assert connection.scalar(text("select count(*) from pg_cursors")) == 0


def test_the_orm_yields_objects_by_pieces(database: Database) -> None:
    """Under a deadline as any other statement."""

    class Base(DeclarativeBase):
        pass

    class Piece(Base):
        __tablename__ = "streamed_pieces"
        id: Mapped[int] = mapped_column(primary_key=True)

    with database.transaction() as connection:
        Base.metadata.drop_all(connection)
        Base.metadata.create_all(connection)
    with database.session() as session:
        session.add_all([Piece(id=number) for number in range(250)])
    with database.invocation(10_000), database.session() as session:
        pieces = session.scalars(select(Piece).order_by(Piece.id).execution_options(yield_per=50))
        assert [piece.id for piece in pieces] == list(range(250))
