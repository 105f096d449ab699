"""A Database on the shared server that tells all it observes."""

from collections.abc import Iterator
from contextlib import contextmanager

from db import Borrow, Database, DatabaseSettings, LeakedBorrow, Repeat, Tls
from db.observation import Silence
from local.postgres import PostgresServer
from tests.conftest import STALL_S


class Facts(Silence):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.borrows: list[Borrow] = []
        self.leaks: list[LeakedBorrow] = []
        self.repeats: list[Repeat] = []

    def borrowed(self, borrow: Borrow) -> None:
        self.borrows.append(borrow)

    def leaked(self, leaked: LeakedBorrow) -> None:
        self.leaks.append(leaked)

    def repeated(self, repeat: Repeat) -> None:
        self.repeats.append(repeat)


@contextmanager
def observed(postgres: PostgresServer, pool_size: int, facts: Facts) -> Iterator[Database]:
    """Lend a Database that tells `facts`, closed at the end and proven to be given back."""
    settings = DatabaseSettings(
        url=postgres.url(),
        tls=Tls.INSECURE_LOCAL_ONLY,
        pool_size=pool_size,
        application_name="left-behind",
        idle_in_transaction_s=STALL_S,
    )
    database = Database(settings, observer=facts)
    yield database
    assert database.pool_state().borrowed == 0
    database.close()
