"""What happens when the connection goes: it is noticed, its last words are kept, and it serves nobody."""

import socket
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from pg8000 import dbapi

from db.protocol.connection import Connection, Rider
from db.protocol.server_errors import ClosedError, DisconnectedError, is_broken, sqlstate_of
from local.postgres import PostgresServer
from tests.faults.proxy import Action, Fault, Proxy
from tests.faults.server import terminate, wait_until
from tests.integration.wire import connected, value


@pytest.mark.parametrize("action", [Action.RESET, Action.CLOSE])
def test_a_dead_idle_connection_is_noticed_without_a_flight(
    connection: Connection, proxy: Proxy, action: Action
) -> None:
    """FIN and RST are seen by looking at the socket; a healthy one costs nothing either."""
    before = proxy.traffic()
    assert connection.is_alive()
    assert proxy.traffic() == before
    proxy.end(action)
    wait_until(lambda: not connection.is_alive())
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
