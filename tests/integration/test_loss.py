"""Time limits, and what happens when the connection goes: over real sockets, through a proxy that breaks them."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from pg8000 import dbapi

from db.deadline import Deadline
from db.errors import DeadlineExceededError
from db.protocol.connection import Connection, Rider, connect
from db.protocol.dial import Address
from db.protocol.server_errors import (
    ClosedError,
    DisconnectedError,
    ServerOperationalError,
    TookTooLongError,
    is_broken,
    sqlstate_of,
)
from local.postgres import PostgresServer
from tests.faults.proxy import Action, Direction, Fault, Proxy
from tests.faults.server import terminate, wait_until
from tests.integration.wire import connected, session, value


@pytest.fixture
def proxy(postgres: PostgresServer) -> Iterator[Proxy]:
    """A proxy of the test's own before the shared server."""
    with Proxy(postgres.port) as running:
        yield running


@pytest.fixture
def connection(postgres: PostgresServer, proxy: Proxy) -> Iterator[Connection]:
    """A connection through the proxy."""
    with connected(postgres, proxy.port, reserve_s=20) as connection:
        yield connection


# --- deadlines ---


@pytest.mark.parametrize("values", [(), ("x",)], ids=["simple", "extended"])
@pytest.mark.parametrize("autocommit", [False, True], ids=["transaction", "autocommit"])
def test_the_server_ends_a_late_statement_and_the_connection_stays(
    connection: Connection, values: tuple[str, ...], *, autocommit: bool
) -> None:
    """A little before the deadline, so that its answer comes in time."""
    connection.autocommit = autocommit
    connection.deadline = Deadline.after(2)
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


def test_a_statement_that_outlives_its_transactions_limit_is_cancelled(connection: Connection) -> None:
    """The server counts from the statement's start, we from the deadline: the second socket stops it."""
    connection.deadline = Deadline.after(1)
    value(connection, "select pg_sleep(0.5)::text")
    with pytest.raises(ServerOperationalError) as caught:
        connection.cursor().execute("select pg_sleep(0.8)")
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
    connection.deadline = Deadline.after(0.5)
    connection._reserve_s = reserve_s
    proxy.end(Action.SWALLOW)
    proxy.faults = lambda _number: [Fault(Action.SWALLOW, Direction.TO_SERVER)]
    began = time.monotonic()
    with pytest.raises(TookTooLongError) as caught:
        connection.cursor().execute("select 1")
    assert sqlstate_of(caught.value) == "57014"
    assert time.monotonic() - began < 5
    assert not connection.is_alive()


def test_a_trickle_does_not_stretch_the_deadline(connection: Connection, proxy: Proxy) -> None:
    """One byte now and then is not progress."""
    connection.deadline = Deadline.after(0.5)
    connection._reserve_s = 0.4
    proxy.inject(Fault(Action.TRICKLE, seconds=0.2))
    began = time.monotonic()
    with pytest.raises(TookTooLongError):
        connection.cursor().execute("select repeat('x', 1000)")
    assert time.monotonic() - began < 5


@pytest.fixture
def hurried(server_itself: PostgresServer) -> Iterator[Connection]:
    """A connection with half a second left, less than its transaction's limit."""
    with connected(server_itself, reserve_s=20) as connection:  # no proxy, which would buffer
        connection.deadline = Deadline.after(1)
        value(connection, "select pg_sleep(0.5)::text")
        yield connection


LONG_FLIGHT = ("select pg_sleep(%s), length(%s)", [(0.8, ""), (0, "x" * 20_000_000)])
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
    assert time.monotonic() - began < 0.8
    assert not hurried.is_alive()


@pytest.mark.parametrize("after_bytes", [0, 1, 9, 24, 100])
def test_a_login_that_stalls_ends_at_its_deadline(postgres: PostgresServer, proxy: Proxy, after_bytes: int) -> None:
    """Wherever the server falls silent."""
    proxy.faults = lambda _number: [Fault(Action.STOP, after_bytes=after_bytes)]
    began = time.monotonic()
    with pytest.raises(TookTooLongError):
        connect(session(postgres, proxy.port), deadline=Deadline.after(0.5))
    assert time.monotonic() - began < 5


def test_a_name_with_several_addresses_is_tried_through(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first may be dead."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        dead = closed.getsockname()
    stream = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
    places = [(*stream, dead), (*stream, ("127.0.0.1", postgres.port))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_rest, **_options: places)
    with connected(postgres, deadline=Deadline.after(5)) as connection:
        assert value(connection, "select 1") == 1


NO_FAMILY = 200
"""Of which no kernel knows anything."""


def test_an_address_of_a_family_that_the_machine_lacks_is_passed_by(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name may have some of IPv6, and a kernel none."""
    place = (socket.SOCK_STREAM, 6, "", ("127.0.0.1", postgres.port))
    places = [(NO_FAMILY, *place), (socket.AF_INET, *place)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_rest, **_options: places)
    with connected(postgres, deadline=Deadline.after(5)) as connection:
        assert value(connection, "select 1") == 1


def test_a_name_that_is_not_resolved_ends_at_the_deadline(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system's resolver may take a minute; nobody waits for it longer than for anything else."""
    release = threading.Event()

    def slow(*_rest: object, flags: int = 0, **_options: object) -> list[object]:
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror
        release.wait(30)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    try:
        with pytest.raises(TookTooLongError):
            connect(session(postgres, address=Address("db.example", 5432)), deadline=Deadline.after(0.3))
    finally:
        release.set()


def test_a_name_that_nobody_knows_says_so(postgres: PostgresServer) -> None:
    """As any other failure to connect, with the name and the port."""
    with pytest.raises(DisconnectedError, match=r"no-such-host\.invalid:5432"):
        connect(session(postgres, address=Address("no-such-host.invalid", 5432)), deadline=Deadline.after(20))


# --- loss ---


@pytest.mark.parametrize("action", [Action.RESET, Action.CLOSE])
def test_a_dead_idle_connection_is_noticed_without_a_flight(
    connection: Connection, proxy: Proxy, action: Action
) -> None:
    """FIN and RST are seen by looking at the socket; a healthy one costs nothing either."""
    before = proxy.traffic()
    assert connection.is_alive()
    assert proxy.traffic() == before
    proxy.end(action)
    assert not connection.is_alive()
    connection.close()


@pytest.fixture
def own_session(server_itself: PostgresServer) -> Iterator[Connection]:
    """A connection whose session no pooler shares."""
    with connected(server_itself) as connection:
        yield connection


def test_the_servers_last_words_are_kept(own_session: Connection, server_itself: PostgresServer) -> None:
    """57P01 said while idle is what the next statement fails with, sent or not."""
    connection = own_session
    value(connection, "select 1")
    connection.commit()
    terminate(server_itself, "application_name = 'test'")
    wait_until(lambda: connection.transport().has_news())
    with pytest.raises(DisconnectedError) as caught:
        connection.cursor().execute("select 1")
    assert sqlstate_of(caught.value) == "57P01"
    assert is_broken(caught.value)


def test_the_servers_last_words_are_kept_when_writing_fails(
    own_session: Connection, server_itself: PostgresServer
) -> None:
    """What it said before it closed is read first."""
    connection = own_session
    terminate(server_itself, "application_name = 'test'")
    wait_until(lambda: connection.transport().has_news())
    time.sleep(0.05)
    connection.transport().socket.shutdown(socket.SHUT_WR)
    with pytest.raises(DisconnectedError) as caught:
        connection.cursor().execute("select 1")
    assert sqlstate_of(caught.value) == "57P01"


@pytest.mark.parametrize(
    ("setting", "sqlstate"),
    [("idle_session_timeout", "57P05"), ("idle_in_transaction_session_timeout", "25P03")],
)
def test_a_time_out_of_the_servers_keeps_its_sqlstate(
    server_itself: PostgresServer, setting: str, sqlstate: str
) -> None:
    """It travels in the startup packet, and what it does is told apart from other ends."""
    with connected(server_itself, optional={setting: "200ms"}) as connection:
        if "transaction" in setting:
            value(connection, "select 1")
        wait_until(lambda: connection.transport().has_news())
        with pytest.raises(DisconnectedError) as caught:
            connection.cursor().execute("select 1")
        assert sqlstate_of(caught.value) == sqlstate


def test_a_broken_connection_serves_nobody_and_makes_no_noise(connection: Connection, proxy: Proxy) -> None:
    """Rollback and close have nothing left to do; everything else is refused."""
    value(connection, "select 1")
    proxy.end(Action.RESET)
    with pytest.raises(DisconnectedError):
        connection.cursor().execute("select 1")
    connection.rollback()
    for use in (connection.commit, lambda: connection.cursor().execute("select 1")):
        with pytest.raises(ClosedError):
            use()
    connection.close()
    connection.close()


def test_an_interrupt_in_the_middle_of_a_reply_ends_the_connection(connection: Connection) -> None:
    """Half a reply is nobody's."""

    def interrupt(_text: str) -> None:
        raise KeyboardInterrupt

    connection.register_in_adapter(23, interrupt)
    with pytest.raises(KeyboardInterrupt):
        connection.cursor().execute("select n from generate_series(1, 3) n")
    assert not connection.is_alive()


def test_a_lost_rider_does_not_hide_that_commit_succeeded(
    connection: Connection, proxy: Proxy, postgres: PostgresServer
) -> None:
    """COMMIT was answered; what rode behind it was not."""
    delivered: list[object] = []
    connection.behind_commit = lambda: Rider("select pg_sleep(0.5)", delivered.append)
    connection.cursor().execute("create table if not exists public.commits (n int)")
    connection.cursor().execute("insert into public.commits values (1)")
    proxy.inject(Fault(Action.CLOSE, after_bytes=len(b"C....COMMIT.Z.....")))
    connection.commit()
    assert delivered == []
    assert not connection.is_alive()
    with connected(postgres, autocommit=True) as other:
        assert value(other, "select count(*) from public.commits") == 1
        other.cursor().execute("drop table public.commits")


def test_a_reply_cut_at_any_byte_never_becomes_somebody_elses_row(postgres: PostgresServer, proxy: Proxy) -> None:
    """Whatever was read of it, the connection is gone: at each byte offset of a whole transaction's replies."""
    with connected(postgres, proxy.port) as whole:
        before = proxy.traffic()
        assert _work(whole) == ["mine", "mine too"]
        reply_bytes = (proxy.traffic() - before).to_client
    cut = 0
    for offset in range(reply_bytes):
        with connected(postgres, proxy.port) as connection:
            proxy.live()[-1].inject(Fault(Action.CLOSE, after_bytes=offset))
            with suppress(dbapi.Error):
                assert _work(connection) == ["mine", "mine too"]
            cut += not connection.is_alive()
            with suppress(ClosedError):
                assert value(connection, "select 'next'") == "next"
    assert cut == reply_bytes


def _work(connection: Connection) -> list[str]:
    first: str = value(connection, "select %s::text", ("mine",))
    second: str = value(connection, "select 'mine too'")
    connection.commit()
    return [first, second]
