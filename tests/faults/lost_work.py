"""Work that loses its connection: how it is lost, and what of it is in the table of the fixture `lost_in_work`."""

from collections.abc import Callable

from sqlalchemy import text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from db import Database
from local.postgres import PostgresServer
from tests.faults.proxy import Action, Proxy
from tests.faults.server import run, terminate


class Base(DeclarativeBase):
    pass


class LostInWork(Base):
    __tablename__ = "lost_in_work"
    n: Mapped[int | None]
    id: Mapped[int] = mapped_column(primary_key=True)


INSERT = text("insert into lost_in_work (n) values (1)")


def applied(postgres: PostgresServer) -> int:
    [[count]] = run(postgres, "select count(*) from lost_in_work")
    return int(count)


def insert(database: Database) -> None:
    with database.transaction() as connection:
        connection.execute(INSERT)


class Once:
    """Does something the first time that it is called."""

    def __init__(self, what: Callable[[], object]) -> None:
        self._what = what
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1
        if self.calls == 1:
            self._what()


SILENCE_S = 2.0
ENDS: dict[str, Callable[[PostgresServer, Proxy], object]] = {
    "57P01": lambda postgres, _: terminate(postgres, "application_name = 'proxied'"),
    "RST": lambda _, proxy: proxy.end(Action.RESET),
    "FIN": lambda _, proxy: proxy.end(Action.CLOSE),
    "silence": lambda _, proxy: proxy.end(Action.SWALLOW),
}
