"""Logging in over TLS: flights, whom it trusts, and that time limits hold there too. On real servers."""

import secrets
import socket
import ssl
import time
from collections.abc import Iterator

import pytest

from db.deadline import Deadline
from db.protocol import time_limit
from db.protocol.connection import connect
from db.protocol.dial import Address, redial
from db.protocol.opening import Habits
from db.protocol.server_errors import DisconnectedError, ServerOperationalError, TookTooLongError, sqlstate_of
from local.binaries import knows
from local.postgres import PostgresServer
from tests.faults.proxy import Action, Fault, Proxy
from tests.faults.tls import Authority, TlsFront
from tests.integration.wire import connected, options, value

SINCE_17 = "allow_alter_system"
"""A setting that PostgreSQL 17 was the first to have."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Whom the clients of this module trust."""
    return Authority(tmp_path_factory.mktemp("authority"))


def context(authority: Authority) -> ssl.SSLContext:
    """Return a client's context, as db.tls makes it."""
    made = ssl.create_default_context(cafile=authority.file)
    made.set_ecdh_curve("prime256v1")
    made.set_alpn_protocols(["postgresql"])
    return made


@pytest.fixture(scope="module")
def tls_server(
    server: PostgresServer, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[PostgresServer, int]]:
    """A server and the port where it speaks TLS: by itself, or through a front where its binaries cannot."""
    certificate = authority.certificate("localhost")
    if not server.has_tls:
        with TlsFront(server.port, certificate) as front:
            yield server, front.port
        return
    directory = tmp_path_factory.mktemp("tls") / "data"

    with PostgresServer(directory, secrets.token_urlsafe(), certificate=certificate) as server_with_tls:
        yield server_with_tls, server_with_tls.port


def test_scram_over_tls_takes_four_flights(tls_server: tuple[PostgresServer, int], authority: Authority) -> None:
    """SSLRequest, handshake, and the two of the login; bound to the certificate where the server itself has it."""
    server, port = tls_server
    habits = Habits()
    with Proxy(port) as proxy:
        address = Address("localhost", proxy.port, context(authority))
        with connected(server, address=address, habits=habits):
            assert proxy.traffic().flights == 4 or not server.has_tls
        with connected(server, address=address, habits=habits) as connection:
            assert proxy.links[-1].traffic().flights == (4 if server.has_tls else 5)
            encrypted = value(connection, "select ssl from pg_stat_ssl where pid = pg_backend_pid()")
            assert encrypted is server.has_tls


def test_a_statement_is_cancelled_over_tls_too(
    tls_server: tuple[PostgresServer, int], authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second socket speaks as the first one does."""
    monkeypatch.setattr(time_limit, "SHARE", 30)  # the server's own limit is too late
    server, port = tls_server
    address = Address("localhost", port, context(authority))
    with connected(server, address=address, reserve_s=20) as connection:
        connection.deadline = Deadline.after(3)
        value(connection, "select 1")
        with pytest.raises(ServerOperationalError) as caught:
            connection.cursor().execute("select pg_sleep(30)")
        assert sqlstate_of(caught.value) == "57014"
        connection.deadline = Deadline.after(30)
        connection.rollback()
        assert value(connection, "select repeat('x', 200000)") == "x" * 200000
        assert connection.is_alive()


def test_a_trickle_over_tls_does_not_stretch_the_deadline(
    tls_server: tuple[PostgresServer, int], authority: Authority
) -> None:
    """One byte now and then is no progress, also where it is only a part of what can be decrypted."""
    server, port = tls_server
    with Proxy(port) as proxy:
        address = Address("localhost", proxy.port, context(authority))
        with connected(server, address=address, reserve_s=0.4) as connection:
            value(connection, "select 1")
            proxy.inject(Fault(Action.TRICKLE, seconds=0.1))
            began = time.monotonic()
            connection.deadline = Deadline.after(1)
            with pytest.raises(TookTooLongError):
                connection.cursor().execute("select repeat('x', 1000)")
            assert time.monotonic() - began < 5


@pytest.mark.parametrize("after_bytes", [0, 1, 100])
def test_a_handshake_that_stalls_took_too_long(
    tls_server: tuple[PostgresServer, int], authority: Authority, after_bytes: int
) -> None:
    """As a login that stalls, and not as a server that is not there."""
    server, port = tls_server
    with Proxy(port) as proxy:
        proxy.faults = lambda _number: [Fault(Action.STOP, after_bytes=after_bytes)]
        address = Address("localhost", proxy.port, context(authority))
        with pytest.raises(TookTooLongError, match=f"localhost:{proxy.port}"):
            connect(options(server, address=address), deadline=Deadline.after(1))


@pytest.mark.parametrize("encrypted", [False, True], ids=["clear", "TLS"])
def test_each_socket_sends_at_once_and_is_watched(
    server: PostgresServer, tls_server: tuple[PostgresServer, int], authority: Authority, *, encrypted: bool
) -> None:
    """No flight waits for a delayed ACK; the kernel asks after a peer that is silent, and leaves one that is slow."""
    asked, port = tls_server if encrypted else (server, server.port)
    address = Address("localhost", port, context(authority) if encrypted else None)
    with connected(asked, address=address) as connection:
        first = connection.transport().socket
        with redial(first, address, Deadline.after(10)) as second:
            for sock in (first, second):
                assert isinstance(sock, ssl.SSLSocket) == encrypted
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) < 60
                assert not sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)


def test_a_server_that_is_not_the_one_it_claims_to_be_is_refused(
    tls_server: tuple[PostgresServer, int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Before a password is sent."""
    other = Authority(tmp_path_factory.mktemp("other"))
    with (
        pytest.raises(DisconnectedError) as caught,
        connected(tls_server[0], address=Address("localhost", tls_server[1], context(other))),
    ):
        pass
    assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)


def test_a_server_without_tls_is_refused(server: PostgresServer, authority: Authority) -> None:
    """Nothing is sent in clear where TLS was asked for."""
    address = Address("localhost", server.port, context(authority))
    with pytest.raises(DisconnectedError), connected(server, address=address):
        pass


def test_tls_that_ends_before_the_server_needs_no_channel_binding(server: PostgresServer, authority: Authority) -> None:
    """A proxy that decrypts: the server offers no binding, and we log in without, once we have seen that."""
    with TlsFront(server.port, authority.certificate("localhost")) as front:
        address = Address("localhost", front.port, context(authority))
        with connected(server, address=address) as connection:
            assert value(connection, "select 1") == 1


class DirectTlsFront(TlsFront):
    """Expects TLS at once, as PostgreSQL 17 does."""

    def _handshake(self, client: socket.socket) -> ssl.SSLSocket:
        self._context.set_alpn_protocols(["postgresql"])
        secure = self._context.wrap_socket(client, server_side=True)
        assert secure.selected_alpn_protocol() == "postgresql"
        return secure


@pytest.fixture
def direct_tls(
    server: PostgresServer, tls_server: tuple[PostgresServer, int], authority: Authority
) -> Iterator[tuple[PostgresServer, int, int]]:
    """A server, where TLS may begin at once (at PostgreSQL 17's own port, else at a front's), and a login's flights."""
    own, port = tls_server
    if own.has_tls and knows(own.binaries, SINCE_17):
        yield own, port, 3
        return
    with DirectTlsFront(server.port, authority.certificate("localhost")) as front:
        yield server, front.port, 4  # the front's SCRAM is not bound, so that it is not begun early


def test_direct_tls_saves_a_flight(direct_tls: tuple[PostgresServer, int, int], authority: Authority) -> None:
    """The handshake is the first thing sent; ALPN says for what."""
    server, port, expected = direct_tls
    habits = Habits()
    with Proxy(port, settle_s=0.05) as proxy:
        address = Address("localhost", proxy.port, context(authority), direct_tls=True)
        for _ in range(2):  # the first login finds out what the server takes
            with connected(server, address=address, habits=habits) as connection:
                flights = proxy.links[-1].traffic().flights
                assert value(connection, "select 1") == 1
    assert flights == expected
