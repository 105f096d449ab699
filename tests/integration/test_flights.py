"""What each piece of work costs in flights: exact counts, by a proxy between the engine and a real server."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, insert, select, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from db import Database, Tls
from local.postgres import PostgresServer
from tests.faults.proxy import Proxy
from tests.faults.tls import Authority, TlsFront

NUMBERS = Table("flight_numbers", MetaData(), Column("id", Integer, primary_key=True), Column("name", Text))


@pytest.fixture(scope="module")
def proxy(postgres: PostgresServer) -> Iterator[Proxy]:
    """A counting proxy before the shared server."""
    with Proxy(postgres.port) as running:
        yield running


@pytest.fixture
def database(make_database: Callable[..., Database], postgres: PostgresServer, proxy: Proxy) -> Database:
    """A Database that keeps one connection, through the proxy, and has not connected yet."""
    return make_database(postgres.url(), port=proxy.port, pool_size=1)


@pytest.fixture
def warm(database: Database) -> Database:
    """The same with its connection open and the table there."""
    with database.transaction() as connection:
        NUMBERS.drop(connection, checkfirst=True)
        NUMBERS.create(connection)
    return database


def flights(proxy: Proxy, work: Callable[[], object]) -> int:
    """Return how many flights `work` takes."""
    before = proxy.traffic()
    work()
    return (proxy.traffic() - before).flights


def test_a_warm_statement_with_autocommit_is_one_flight(warm: Database, proxy: Proxy) -> None:
    """The deadline travels with it: nothing is asked before or after."""

    def work() -> None:
        with warm.autocommit() as connection:
            assert connection.scalar(text("select cast(:n as int)"), {"n": 1}) == 1

    assert flights(proxy, work) == 1


def test_a_statement_without_values_is_one_flight_too(warm: Database, proxy: Proxy) -> None:
    """The simple protocol is no exception."""

    def work() -> None:
        with warm.autocommit() as connection:
            assert connection.scalar(text("select 1")) == 1

    assert flights(proxy, work) == 1


@pytest.mark.parametrize("statements", [0, 1, 2, 5])
def test_a_transaction_of_n_statements_is_n_flights_and_a_commit(warm: Database, proxy: Proxy, statements: int) -> None:
    """BEGIN and the deadline cost nothing, and neither does a transaction in which nothing ran."""

    def work() -> None:
        with warm.transaction() as connection:
            for number in range(statements):
                assert connection.scalar(text("select cast(:n as int)"), {"n": number}) == number

    assert flights(proxy, work) == (statements + 1 if statements else 0)


def test_a_rollback_is_one_flight(warm: Database, proxy: Proxy) -> None:
    """An error costs no more than success."""

    def work() -> None:
        with pytest.raises(ZeroDivisionError), warm.transaction() as connection:
            connection.execute(insert(NUMBERS), {"id": -1, "name": "gone"})
            raise ZeroDivisionError

    assert flights(proxy, work) == 2


def test_an_insert_of_100_rows_is_one_flight_and_a_commit(warm: Database, proxy: Proxy) -> None:
    """All the rows travel together."""

    def work() -> None:
        with warm.transaction() as connection:
            connection.execute(insert(NUMBERS), [{"id": number, "name": f"n{number}"} for number in range(100)])

    assert flights(proxy, work) == 2
    with warm.autocommit() as connection:
        assert len(connection.execute(select(NUMBERS)).all()) == 100


def test_the_first_transaction_of_an_environment_is_four_flights(database: Database, proxy: Proxy) -> None:
    """Two for the login, one for the statement, one for COMMIT; SQLAlchemy asks nothing."""

    def work() -> None:
        with database.transaction() as connection:
            assert connection.scalar(text("select cast(:n as int)"), {"n": 1}) == 1

    assert flights(proxy, work) == 4


def test_a_reconnect_and_its_transaction_are_three_flights(warm: Database, proxy: Proxy) -> None:
    """What was learnt at the first connect is not asked again, and the login ends in the first statement's flight."""
    warm.close()

    def work() -> None:
        with warm.transaction() as connection:
            assert connection.scalar(text("select cast(:n as int)"), {"n": 1}) == 1

    assert flights(proxy, work) == 3


def test_a_liveness_check_costs_nothing(warm: Database, proxy: Proxy) -> None:
    """Borrowing and giving back is free; a dead connection is replaced all the same."""

    def borrow() -> None:
        with warm.transaction():
            pass

    assert flights(proxy, borrow) == 0
    proxy.end()
    with warm.autocommit() as connection:
        assert connection.scalar(text("select 1")) == 1


def test_an_insert_of_100_objects_is_one_flight_and_a_commit(warm: Database, proxy: Proxy) -> None:
    """The keys that the server gives come back with it."""

    class Base(DeclarativeBase):
        pass

    class Thing(Base):
        __tablename__ = "flight_things"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]

    with warm.transaction() as connection:
        Base.metadata.drop_all(connection)
        Base.metadata.create_all(connection)

    def work() -> None:
        with warm.session() as session:
            things = [Thing(name=f"n{number}") for number in range(100)]
            session.add_all(things)
            session.flush()
            assert len({thing.id for thing in things}) == 100

    assert flights(proxy, work) == 2


def test_the_first_transaction_over_tls_is_six_flights(
    make_database: Callable[..., Database],
    postgres: PostgresServer,
    tmp_path_factory: pytest.TempPathFactory,
    tmp_path: Path,
) -> None:
    """Two more than in clear: the request for TLS, and its handshake; one more where SCRAM cannot be begun early."""
    authority = Authority(tmp_path)
    certificate = authority.certificate("localhost")
    settings = {"host": "localhost", "tls": Tls.VERIFY_FULL, "tls_ca": str(authority.file)}
    with ExitStack() as stack:
        if postgres.has_tls:
            directory = tmp_path_factory.mktemp("tls") / "data"
            server = stack.enter_context(PostgresServer(directory, "secret", certificate=certificate))
            proxy = stack.enter_context(Proxy(server.port))
        else:
            server = postgres
            front = stack.enter_context(TlsFront(postgres.port, certificate))
            proxy = stack.enter_context(Proxy(front.port))
        database = make_database(server.url(), port=proxy.port, **settings)
        with database.transaction() as connection:
            assert connection.scalar(text("select cast(:n as int)"), {"n": 1}) == 1
            database_flights = proxy.links[-1].traffic().flights
        assert proxy.links[-1].traffic().flights == database_flights + 1
        assert database_flights == (5 if server.has_tls else 6)
        database.close()
