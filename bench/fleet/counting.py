"""What a strategy costs the server, counted in each invocation, and the work that all of them do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg2

from bench.fleet.scenarios import Scenario
from db import Borrow
from db.observation import Silence

WORK = "select pg_sleep(%s)"
Transact = Callable[[float, float], None]
Strategy = Callable[[str, Scenario, "Counts"], Transact]


@dataclass
class Counts(Silence):
    """What the invocation that goes on has cost the server."""

    attempts: int = 0
    connects: int = 0

    def reset(self) -> None:
        """Begin anew."""
        self.attempts = self.connects = 0

    def borrowed(self, borrow: Borrow) -> None:
        """Take our own fact."""
        self.connects += borrow.opened
        self.attempts += borrow.slots.refusals + borrow.opened


def counted_connect(url: str, counts: Counts) -> Callable[[], Any]:
    """Return psycopg2's connect, counting."""

    def connect() -> Any:  # noqa: ANN401 - psycopg2 has no types
        counts.attempts += 1
        connection = psycopg2.connect(url, connect_timeout=5)
        counts.connects += 1
        return connection

    return connect


def work(connection: Any, work_s: float) -> None:  # noqa: ANN401 - any DBAPI connection
    """Do the transaction's one statement, which takes `work_s` seconds, and commit."""
    with connection.cursor() as cursor:
        cursor.execute(WORK, (work_s,))
    connection.commit()
