"""Rows 12 and 13: nobody is there, or nobody who answers; one deadline covers connect, TLS and login."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from db import Database, Tls, UnavailableError
from local.postgres import PostgresServer
from tests.faults.asking import ask
from tests.faults.proxy import Action, Direction, Fault, Proxy
from tests.faults.tls import Authority, TlsFront
from tests.noticing import Noticed

CONNECT_S = 2.0


@pytest.fixture
def deaf() -> Iterator[int]:
    """A port where the kernel takes connections and nobody accepts them."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def unreachable() -> Iterator[int]:
    """A port whose queue is full: a SYN is not answered."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        address = listener.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:
            client.setblocking(False)  # noqa: FBT003 - the socket's own signature
            client.connect_ex(address)
        yield address[1]
        for client in waiting:
            client.close()


@pytest.mark.parametrize("listener", ["deaf", "unreachable"])
def test_one_deadline_covers_the_connect(
    make_database: Callable[..., Database],
    postgres: PostgresServer,
    request: pytest.FixtureRequest,
    listener: str,
    noticed: Noticed,
) -> None:
    """Row 13: a SYN without answer, and a connection that nobody serves."""
    port = request.getfixturevalue(listener)
    database = make_database(postgres.url(port=port), connect_timeout_s=CONNECT_S)
    with noticed.within(CONNECT_S, 13), pytest.raises(UnavailableError):
        ask(database)


IN_THE_LOGIN = [
    *((direction, after_bytes) for direction in Direction for after_bytes in (0, 1, 5, 30, 100, 200)),
    (Direction.TO_CLIENT, 400),
]


@pytest.mark.parametrize(("direction", "after_bytes"), IN_THE_LOGIN)
def test_one_deadline_covers_the_login(
    make_database: Callable[..., Database],
    postgres: PostgresServer,
    proxy: Proxy,
    direction: Direction,
    after_bytes: int,
    noticed: Noticed,
) -> None:
    """Row 13: whatever byte of the login the server, or the way to it, stops at."""
    proxy.faults = lambda _number: [Fault(Action.STOP, direction, after_bytes=after_bytes)]
    url = postgres.url(port=proxy.port)
    database = make_database(url, connect_timeout_s=CONNECT_S)
    with noticed.within(CONNECT_S, 13), pytest.raises(UnavailableError):
        ask(database)


def test_one_deadline_covers_all_sessions_that_are_lost_to_silence(
    make_database: Callable[..., Database], postgres: PostgresServer, proxy: Proxy, noticed: Noticed
) -> None:
    """Row 12: each is let in and then not heard any more; the invocation's deadline is one for all of them."""
    proxy.faults = lambda _number: [Fault(Action.STOP, once_sent=b"select 1")]
    url = postgres.url(port=proxy.port)
    database = make_database(url, silence_s=1.5)
    bound_s = 4.0  # half of the reserve is spent on stopping the statement
    with (
        noticed.within(bound_s, 12),
        pytest.raises(UnavailableError),
        database.invocation((bound_s + database.settings.reserve_s) * 1000),
    ):
        ask(database)
    assert proxy.accepted > 1


@pytest.mark.parametrize("after_bytes", [0, 1, 100, 800])
def test_one_deadline_covers_tls(
    make_database: Callable[..., Database],
    postgres: PostgresServer,
    tmp_path: Path,
    after_bytes: int,
    noticed: Noticed,
) -> None:
    """Row 13: the handshake stops at any byte."""
    authority = Authority(tmp_path)
    with TlsFront(postgres.port, authority.certificate("localhost")) as front, Proxy(front.port) as proxy:
        proxy.faults = lambda _number: [Fault(Action.STOP, after_bytes=after_bytes)]
        url = postgres.url().replace(f"127.0.0.1:{postgres.port}", f"localhost:{proxy.port}")
        database = make_database(url, tls=Tls.VERIFY_FULL, tls_ca=str(authority.file), connect_timeout_s=CONNECT_S)
        with noticed.within(CONNECT_S, 13), pytest.raises(UnavailableError):
            ask(database)


@pytest.mark.parametrize("action", [Action.CLOSE, Action.RESET])
@pytest.mark.parametrize("after_bytes", [0, 1, 100])
def test_a_server_that_goes_down_in_the_handshake_is_waited_for(
    make_database: Callable[..., Database], postgres: PostgresServer, tmp_path: Path, action: Action, after_bytes: int
) -> None:
    """Row 13: whichever way the connection ends there, it says nothing of who the server is."""
    authority = Authority(tmp_path)
    with TlsFront(postgres.port, authority.certificate("localhost")) as front, Proxy(front.port) as proxy:
        proxy.faults = lambda number: [Fault(action, after_bytes=after_bytes)] if number == 1 else []
        url = postgres.url().replace(f"127.0.0.1:{postgres.port}", f"localhost:{proxy.port}")
        database = make_database(url, tls=Tls.VERIFY_FULL, tls_ca=str(authority.file))
        assert ask(database) == 1
        database.close()
    assert proxy.accepted > 1


def test_the_deadline_of_the_invocation_is_shorter(
    make_database: Callable[..., Database],
    postgres: PostgresServer,
    deaf: int,
    noticed: Noticed,
) -> None:
    """Row 13: a connect never takes longer than the invocation has left."""
    database = make_database(postgres.url(port=deaf), reserve_s=0.5)
    with noticed.within(2.0, 13), pytest.raises(UnavailableError), database.invocation(2500):
        ask(database)
