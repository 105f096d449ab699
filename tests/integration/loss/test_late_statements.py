"""A statement ends by its deadline, on the server or on the wire, and the connection stays where it can."""

import time
from collections.abc import Iterator

import pytest

from db.deadline import Deadline
from db.errors import DeadlineExceededError
from db.protocol import time_limit
from db.protocol.connection import Connection
from db.protocol.server_errors import ServerOperationalError, TookTooLongError, sqlstate_of
from local.postgres import PostgresServer
from tests.faults.proxy import Action, Direction, Fault, Proxy
from tests.integration.wire import connected, value


@pytest.mark.parametrize("values", [(), ("x",)], ids=["simple", "extended"])
@pytest.mark.parametrize("autocommit", [False, True], ids=["transaction", "autocommit"])
def test_the_server_ends_a_late_statement_and_the_connection_stays(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, values: tuple[str, ...], *, autocommit: bool
) -> None:
    """Before the deadline, here long before it, so that its answer comes in time."""
    monkeypatch.setattr(time_limit, "SHARE", 0.05)
    connection.autocommit = autocommit
    connection.deadline = Deadline.after(20)
    statement = "select pg_sleep(30)" if not values else "select pg_sleep(30), %s::text"
    with pytest.raises(ServerOperationalError) as caught:
        connection.cursor().execute(statement, values)
    assert sqlstate_of(caught.value) == "57014"
    assert connection.deadline.remaining_s() > 0
    connection.deadline = Deadline.after(30)
    connection.rollback()
    assert value(connection, "select 1") == 1


def test_the_limit_does_not_outlive_its_transaction(connection: Connection) -> None:
    """The next borrower has his own."""
    connection.deadline = Deadline.after(30)
    assert value(connection, "show statement_timeout") != "0"
    connection.commit()
    connection.deadline = Deadline.after(10_000_000)
    assert value(connection, "show statement_timeout") == "0"


def test_without_a_deadline_nothing_is_set(connection: Connection) -> None:
    """Migrations and tools run as long as they need."""
    assert value(connection, "show statement_timeout") == "0"


@pytest.fixture
def lenient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the server's own limit come long after the deadline: only the client is there to end a statement."""
    monkeypatch.setattr(time_limit, "SHARE", 30)


@pytest.mark.usefixtures("lenient")
def test_a_statement_that_outlives_its_transactions_limit_is_cancelled(connection: Connection) -> None:
    """The server counts from the statement's start, we from the deadline: the second socket stops it."""
    connection.deadline = Deadline.after(3)
    value(connection, "select 1")
    with pytest.raises(ServerOperationalError) as caught:
        connection.cursor().execute("select pg_sleep(30)")
    assert sqlstate_of(caught.value) == "57014"
    connection.rollback()
    connection.deadline = Deadline.after(30)
    assert value(connection, "select 1") == 1


def test_nothing_is_sent_when_the_time_is_up(connection: Connection, proxy: Proxy) -> None:
    """But what was begun is rolled back: that time was kept back."""
    value(connection, "select 1")
    connection.deadline = Deadline.after(0)
    before = proxy.traffic()
    with pytest.raises(DeadlineExceededError):
        connection.cursor().execute("select 1")
    assert proxy.traffic() == before
    connection.rollback()
    assert (proxy.traffic() - before).flights == 1


@pytest.mark.parametrize("reserve_s", [0.4, 0.0])
def test_a_peer_that_falls_silent_is_given_up_at_the_deadline(
    connection: Connection, proxy: Proxy, reserve_s: float
) -> None:
    """Half-open: no answer, no cancel, no hanging; also where no time is kept back in which to cancel."""
    connection._reserve_s = reserve_s
    proxy.end(Action.SWALLOW)
    proxy.faults = lambda _number: [Fault(Action.SWALLOW, Direction.TO_SERVER)]
    began = time.monotonic()
    connection.deadline = Deadline.after(1)
    with pytest.raises(TookTooLongError) as caught:
        connection.cursor().execute("select 1")
    assert sqlstate_of(caught.value) == "57014"
    assert time.monotonic() - began < 5
    assert not connection.is_alive()


def test_a_trickle_does_not_stretch_the_deadline(connection: Connection, proxy: Proxy) -> None:
    """One byte now and then is not progress."""
    connection._reserve_s = 0.4
    proxy.inject(Fault(Action.TRICKLE, seconds=0.2))
    began = time.monotonic()
    connection.deadline = Deadline.after(1)
    with pytest.raises(TookTooLongError):
        connection.cursor().execute("select repeat('x', 1000)")
    assert time.monotonic() - began < 5


@pytest.fixture
def hurried(server_itself: PostgresServer, lenient: None) -> Iterator[Connection]:  # noqa: ARG001 - before it begins
    """A connection with three seconds left, less than its transaction's limit."""
    with connected(server_itself, reserve_s=20) as connection:  # no proxy, which would buffer
        connection.deadline = Deadline.after(3)
        value(connection, "select 1")
        yield connection


LONG_FLIGHT = ("select pg_sleep(%s), length(%s)", [(60, ""), (0, "x" * 20_000_000)])
"""More than all buffers hold; the server reads no further while it sleeps."""


def test_the_deadline_holds_while_writing_too(hurried: Connection) -> None:
    """A server that does not read is asked to stop; what is left of the flight is sent, and the connection stays."""
    with pytest.raises(ServerOperationalError) as caught:
        hurried.cursor().executemany(*LONG_FLIGHT)
    assert sqlstate_of(caught.value) == "57014"
    assert not hurried.deadline.remaining_s()
    hurried.deadline = Deadline.after(30)
    hurried.rollback()
    assert value(hurried, "select 1") == 1


def test_a_peer_that_never_reads_again_is_given_up_at_the_deadline(
    hurried: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where asking it to stop is in vain."""
    monkeypatch.setattr("db.protocol.flights.cancel", lambda *_: False)
    began = time.monotonic()
    with pytest.raises(TookTooLongError) as caught:
        hurried.cursor().executemany(*LONG_FLIGHT)
    assert sqlstate_of(caught.value) == "57014"
    assert time.monotonic() - began < 10
    assert not hurried.is_alive()
