"""Work whose COMMIT is lost: what it writes into the table of the fixture `lost_commits`, and what of that is there."""

from sqlalchemy import text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from db.protocol import wire
from local.postgres import PostgresServer
from tests.faults.server import run

INSERT = text("insert into lost_commits (n) values (1)")
COMMIT = wire.query("commit")
"""What ends a borrow's transaction; the name of the table is no part of it."""


class Base(DeclarativeBase):
    pass


class LostCommit(Base):
    __tablename__ = "lost_commits"
    n: Mapped[int]
    id: Mapped[int] = mapped_column(primary_key=True)


def applied(postgres: PostgresServer) -> int:
    [[count]] = run(postgres, "select count(*) from lost_commits")
    return int(count)
