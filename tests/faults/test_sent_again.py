"""Rows 3, 4, 11, 12, 20, 21 and 22: what may be sent again when a connection dies is, unseen; nothing else is."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from db import CommitUnknownError, ConnectionLostError, Database, DatabaseSettings, Repeat, Tls
from db.observation import Silence
from local.postgres import PostgresServer
from tests.faults.lost_work import ENDS, INSERT, SILENCE_S, applied
from tests.faults.proxy import Action, Direction, Fault, Proxy
from tests.faults.server import backends, wait_until
from tests.faults.stream import ENDINGS
from tests.noticing import Noticed

pytestmark = pytest.mark.usefixtures("lost_in_work")

CUTS = [
    *((Action.SWALLOW, 0), (Action.STOP, 0)),  # later a sign of life has been given: the deadline is the bound
    *((action, after_bytes) for action in (Action.RESET, Action.CLOSE) for after_bytes in (0, 1, 4, 5, 30)),
]


@pytest.mark.parametrize(("action", "after_bytes"), CUTS)
@pytest.mark.parametrize("silence_s", [SILENCE_S])
def test_a_first_flight_whose_reply_is_cut_is_sent_again(
    proxied: Database, postgres: PostgresServer, proxy: Proxy, action: Action, after_bytes: int, noticed: Noticed
) -> None:
    """Rows 11, 12 and 22: nobody has seen a result and nothing can have been committed: invisible."""
    row = 11 if action in ENDINGS else 12
    with proxied.transaction() as connection:
        proxy.inject(Fault(action, after_bytes=after_bytes))
        with noticed.within(SILENCE_S, row):
            connection.execute(INSERT)
    assert applied(postgres) == 1


def test_what_was_sent_again_is_told(postgres: PostgresServer, proxy: Proxy) -> None:
    """Row 11: invisible to the client, but not to whoever watches."""

    class Told(Silence):
        def __init__(self) -> None:
            self.repeats: list[Repeat] = []

        def repeated(self, repeat: Repeat) -> None:
            self.repeats.append(repeat)

    told = Told()
    url = postgres.url(port=proxy.port)
    database = Database(DatabaseSettings(url=url, tls=Tls.INSECURE_LOCAL_ONLY), observer=told)
    with database.transaction() as connection:
        proxy.inject(Fault(Action.RESET))
        connection.execute(INSERT)
    database.close()
    assert told.repeats == [Repeat(kind="connection_lost", wait_ms=0.0)]


@pytest.mark.parametrize("after_bytes", [0, 40, 100])
def test_a_first_flight_that_is_cut_on_its_way_is_sent_again(
    proxied: Database, postgres: PostgresServer, proxy: Proxy, after_bytes: int
) -> None:
    """Rows 11 and 22: the server has got a part of it, or nothing."""
    with proxied.transaction() as connection:
        proxy.inject(Fault(Action.RESET, Direction.TO_SERVER, after_bytes=after_bytes))
        connection.execute(INSERT)
    assert applied(postgres) == 1


def test_a_read_in_autocommit_is_sent_again(proxied: Database, proxy: Proxy) -> None:
    """Row 11: a SELECT that calls nothing can be asked twice, wherever in the borrow it stands."""
    with proxied.autocommit() as connection:
        for _ in range(2):
            proxy.inject(Fault(Action.RESET))
            assert connection.scalar(text("select count(*) from lost_in_work")) == 0


def test_a_write_in_autocommit_is_never_sent_again(proxied: Database, postgres: PostgresServer, proxy: Proxy) -> None:
    """Row 21: it was its own transaction and may have been committed: the handler is told that this is not known."""
    with pytest.raises(CommitUnknownError), proxied.autocommit() as connection:
        proxy.inject(Fault(Action.RESET))
        connection.execute(INSERT)
    assert applied(postgres) == 1


@pytest.mark.parametrize("end", ["57P01", "RST", "FIN"])
def test_a_write_in_autocommit_is_not_sent_on_a_connection_that_has_ended(
    proxied: Database, postgres: PostgresServer, proxy: Proxy, end: str
) -> None:
    """Rows 3 and 11: the socket shows the loss before anything is sent, so that there is no doubt: invisible."""
    with proxied.autocommit() as connection:
        connection.execute(INSERT)
        session: Any = connection.connection.dbapi_connection
        ENDS[end](postgres, proxy)
        wait_until(session.transport().has_news)
        connection.execute(INSERT)
    assert applied(postgres) == 2


def test_a_lease_that_ends_in_a_borrow_is_invisible(
    make_database: Callable[..., Database], postgres: PostgresServer
) -> None:
    """Row 4: a handler that pauses in autocommit() finds its session closed by the server, and writes on another."""
    database = make_database(postgres.url(), application_name="leased")
    with database.autocommit() as connection:
        session: Any = connection.connection.dbapi_connection
        session.behind_commit = lambda: None  # which would grant another lease
        connection.execute(INSERT)
        session.execute_simple("set idle_session_timeout = '200ms'")
        session.left_residue = False
        wait_until(lambda: not backends(postgres, "application_name = 'leased'"))
        connection.execute(INSERT)
    assert applied(postgres) == 2


@pytest.mark.parametrize(
    "first",
    [
        "set work_mem = '1MB'",
        "select set_config('app.user', 'x', false)",
        "select pg_advisory_lock(7)",
        "listen news",
    ],
)
@pytest.mark.parametrize("kind", ["transaction", "autocommit"])
def test_what_sets_up_the_session_first_is_sent_again(proxied: Database, proxy: Proxy, first: str, kind: str) -> None:
    """Row 11: nothing was there to be lost with the session, and the new one is set up in its place."""
    with getattr(proxied, kind)() as connection:
        proxy.inject(Fault(Action.RESET))
        connection.execute(text(first))
        assert connection.scalar(text("select 1")) == 1


def test_what_was_set_up_before_is_not_lost_in_silence(proxied: Database, proxy: Proxy) -> None:
    """Row 20: a session whose settings the handler counts on is not replaced by another."""
    with pytest.raises(ConnectionLostError), proxied.autocommit() as connection:
        connection.execute(text("set work_mem = '1MB'"))
        proxy.inject(Fault(Action.RESET))
        connection.execute(text("select 1"))
