"""Connecting: each of a name's addresses is tried, and nobody is waited for beyond the deadline."""

import socket
import threading
import time

import pytest

from db.deadline import Deadline
from db.protocol.connection import connect
from db.protocol.dial import Address
from db.protocol.server_errors import DisconnectedError, TookTooLongError
from local.postgres import PostgresServer
from tests.faults.proxy import Action, Fault, Proxy
from tests.integration.wire import connected, options, value


@pytest.mark.parametrize("after_bytes", [0, 1, 9, 24, 100])
def test_a_login_that_stalls_ends_at_its_deadline(postgres: PostgresServer, proxy: Proxy, after_bytes: int) -> None:
    """Wherever the server falls silent."""
    proxy.faults = lambda _number: [Fault(Action.STOP, after_bytes=after_bytes)]
    began = time.monotonic()
    with pytest.raises(TookTooLongError):
        connect(options(postgres, proxy.port), deadline=Deadline.after(1))
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
            connect(options(postgres, address=Address("db.example", 5432)), deadline=Deadline.after(1))
    finally:
        release.set()


def test_a_name_that_nobody_knows_says_so(postgres: PostgresServer) -> None:
    """As any other failure to connect, with the name and the port."""
    with pytest.raises(DisconnectedError, match=r"no-such-host\.invalid:5432"):
        connect(options(postgres, address=Address("no-such-host.invalid", 5432)), deadline=Deadline.after(20))
