"""The pieces of work that are counted, and what each may cost at most."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from sqlalchemy import Column, Connection, Integer, MetaData, Table, Text, insert
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from bench.flights.peers import MakePeer, Peer, Target, select_one

STATEMENTS = 5
ROWS = 100


class Base(DeclarativeBase):
    """What the ORM's rows are declared on."""


class Item(Base):
    """A row whose key the server gives: the ORM asks for it back."""

    __tablename__ = "bench_items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


NUMBERS = Table("bench_numbers", MetaData(), Column("id", Integer, primary_key=True), Column("name", Text))


def prepare(connection: Connection) -> None:
    """Make the tables."""
    NUMBERS.create(connection)
    Base.metadata.create_all(connection)


def warm(peer: Peer, run: Callable[[Peer], object]) -> None:
    """Do the same twice on the same connection."""
    run(peer)
    run(peer)


def cold(_peer: Peer, _run: Callable[[Peer], object]) -> None:
    """Do nothing."""


def closed(peer: Peer, run: Callable[[Peer], object]) -> None:
    """Do the same, and close the connection."""
    run(peer)
    peer.close()


@dataclass(frozen=True, slots=True)
class Case:
    """One piece of work."""

    title: str
    must: int
    run: Callable[[Peer], object]
    before: Callable[[Peer, Callable[[Peer], object]], object] = warm
    """What has happened by then."""
    new_connection: bool = False
    """Whether the work opens one; the goodbye of an old one does not count."""
    tls: bool = False
    ping: bool = False


def several(connection: Connection) -> None:
    """Run some statements."""
    for _ in range(STATEMENTS):
        select_one(connection)


def transaction_of_one(peer: Peer) -> None:
    """Run one statement in a transaction."""
    peer.transaction(select_one)


NEW_KEYS = count()


def insert_core(connection: Connection) -> None:
    """Insert rows whose keys are given."""
    connection.execute(insert(NUMBERS), [{"id": next(NEW_KEYS), "name": "name"} for _ in range(ROWS)])


def insert_orm(connection: Connection) -> None:
    """Insert objects whose keys come back."""
    with Session(connection) as session:
        session.add_all([Item(name=f"n{number}") for number in range(ROWS)])
        session.flush()


CASES = [
    Case("warm statement, autocommit", 1, lambda peer: peer.autocommit(select_one)),
    Case("warm transaction of one statement", 2, lambda peer: peer.transaction(select_one)),
    Case(f"warm transaction of {STATEMENTS} statements", STATEMENTS + 1, lambda peer: peer.transaction(several)),
    Case("transaction without a statement", 0, lambda peer: peer.transaction(lambda _connection: None)),
    Case("cold engine to first commit", 4, transaction_of_one, cold, new_connection=True),
    Case(
        "cold engine to first commit, TLS",
        6,
        lambda peer: peer.transaction(select_one),
        cold,
        new_connection=True,
        tls=True,
    ),
    Case(
        "reconnect and transaction, TLS",
        6,
        lambda peer: peer.transaction(select_one),
        closed,
        new_connection=True,
        tls=True,
    ),
    Case("warm statement with a liveness check, autocommit", 1, lambda peer: peer.autocommit(select_one), ping=True),
    Case(f"insert {ROWS} rows (Core)", 2, lambda peer: peer.transaction(insert_core)),
    Case(f"insert {ROWS} objects (ORM, RETURNING)", 2, lambda peer: peer.transaction(insert_orm)),
]


def prepared(case: Case, make: MakePeer, target: Target) -> Peer:
    """Return the peer as the case wants to find it."""
    peer = make(target, ping=case.ping)
    case.before(peer, case.run)
    return peer
