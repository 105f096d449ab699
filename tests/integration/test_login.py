"""Logging in: flights, methods, TLS, poolers, and what is learnt for the next time. On real servers."""

import secrets
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import scramp.core

from db.deadline import Deadline
from db.protocol.connection import Connection, connect
from db.protocol.dial import Address, redial
from db.protocol.login import DerivedKeys
from db.protocol.opening import Habits
from db.protocol.scram import ScramClient, derive_key
from db.protocol.server_errors import DisconnectedError, ServerOperationalError, TookTooLongError, sqlstate_of
from local.binaries import knows
from local.pgbouncer import PgBouncer
from local.postgres import PostgresServer
from tests.faults.proxy import Action, Fault, Proxy
from tests.faults.tls import Authority, TlsFront
from tests.integration.wire import connected, session, value

SINCE_17 = "allow_alter_system"
"""A setting that PostgreSQL 17 was the first to have."""
METHODS = ("scram-sha-256", "md5", "password", "trust")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server with a role for each method of login, named after it, all with the same password."""
    with PostgresServer(tmp_path_factory.mktemp("login") / "data", secrets.token_urlsafe()) as server:
        with connected(server, autocommit=True) as connection:
            for method in METHODS:
                encryption = "md5" if method == "md5" else "scram-sha-256"
                connection.cursor().execute(f"set password_encryption = '{encryption}'")
                connection.cursor().execute(f"create role \"{method}\" login password '{server.password}'")
        rules = [f'host all "{method}" 127.0.0.1/32 {method}\n' for method in METHODS]
        file = server.directory / "pg_hba.conf"
        file.write_text("".join(rules) + file.read_text())
        server.restart()
        yield server


@pytest.fixture
def proxy(server: PostgresServer) -> Iterator[Proxy]:
    """A counting proxy before it."""
    with Proxy(server.port) as running:
        yield running


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


# --- in clear ---


def test_scram_takes_two_flights(server: PostgresServer, proxy: Proxy) -> None:
    """The first message of the exchange travels with the StartupMessage."""
    with connected(server, proxy.port):
        assert proxy.traffic().flights == 2


@pytest.mark.parametrize("method", METHODS)
def test_every_method_lets_in_and_is_remembered(server: PostgresServer, proxy: Proxy, method: str) -> None:
    """Where the short way does not lead in, the ordinary one does; the next time it is taken at once."""
    habits = Habits()
    for connections in (1 if method == "scram-sha-256" else 2, 1):
        before = proxy.traffic()
        with connected(server, proxy.port, user=method, habits=habits) as connection:
            assert value(connection, "select session_user::text") == method
        assert (proxy.traffic() - before).connections == connections


@pytest.mark.parametrize("method", ["scram-sha-256", "md5", "password"])
def test_a_wrong_password_is_refused_with_its_sqlstate(server: PostgresServer, method: str) -> None:
    """By every method; and it is not asked for twice by the same one."""
    for user in (method, "nobody"):
        with pytest.raises(ServerOperationalError) as caught:
            connect(session(server, user=user, password="wrong"), deadline=Deadline.after(10))
        assert sqlstate_of(caught.value) == "28P01"


def _first_only(action: Action) -> Callable[[int], list[Fault]]:
    return lambda number: [Fault(action)] if number == 1 else []


@pytest.mark.parametrize("action", [Action.CLOSE, Action.RESET])
def test_a_connection_that_was_dropped_once_makes_no_later_login_longer(
    server: PostgresServer, proxy: Proxy, action: Action
) -> None:
    """A server that went down at the wrong moment has refused nothing: the next login is begun early again."""
    habits = Habits()
    proxy.faults = _first_only(action)
    for connections, flights in ((2, 3), (1, 2)):
        before = proxy.traffic()
        with connected(server, proxy.port, habits=habits) as connection:
            seen = proxy.traffic() - before
            assert value(connection, "select 1") == 1
        assert (seen.connections, seen.flights) == (connections, flights)


def test_a_server_that_always_hangs_up_on_an_early_login_is_remembered(server: PostgresServer, proxy: Proxy) -> None:
    """One that says nothing about it, too: by the second time."""
    habits = Habits()
    proxy.faults = lambda number: [Fault(Action.CLOSE)] if number in {1, 3} else []
    for connections in (2, 2, 1):
        before = proxy.traffic()
        with connected(server, proxy.port, habits=habits):
            assert (proxy.traffic() - before).connections == connections


def test_nothing_is_learnt_where_the_ordinary_way_fails_too(server: PostgresServer, proxy: Proxy) -> None:
    """What it was refused for is not known then."""
    habits = Habits()
    proxy.faults = lambda number: [Fault(Action.CLOSE)] if number > 1 else []
    for options in ({"user": "trust"}, {"optional": {"no_such_setting": "1"}}):
        proxy.links.clear()
        with pytest.raises(DisconnectedError):
            connect(session(server, proxy.port, **options), deadline=Deadline.after(10), habits=habits)
        assert not habits.refuse_early
        assert not habits.refuse_parameters


def test_a_token_is_given_as_it_is_asked_for(server: PostgresServer, proxy: Proxy) -> None:
    """An IAM token is not SCRAM's: no connection is spent on finding that out."""
    with connected(server, proxy.port, user="password", begins_scram=False):
        assert proxy.traffic().connections == 1


def test_an_unknown_parameter_is_left_out_and_remembered(server: PostgresServer, proxy: Proxy) -> None:
    """An older server has fewer settings: they are wishes."""
    habits = Habits()
    for connections in (2, 1):
        before = proxy.traffic()
        with connected(server, proxy.port, habits=habits, optional={"no_such_setting": "1"}) as connection:
            assert value(connection, "select 1") == 1
        assert (proxy.traffic() - before).connections == connections


def test_parameters_travel_with_the_login(server: PostgresServer, proxy: Proxy) -> None:
    """They cost no flight."""
    with connected(server, proxy.port, optional={"search_path": "elsewhere"}) as connection:
        assert proxy.traffic().flights == 2
        assert value(connection, "show search_path") == "elsewhere"


@pytest.mark.parametrize("password", ["plain", "pä ß wörd", "Ⅸ\u00ad", "\u0627\u0031", " ", "a,b=c"])
def test_every_password_that_the_server_takes(server: PostgresServer, password: str) -> None:
    """Also those that SASLprep changes, or refuses."""
    with connected(server, autocommit=True) as connection:
        quoted = password.replace("'", "''")
        connection.cursor().execute(f"alter role \"scram-sha-256\" password '{quoted}'")
        try:
            with connected(server, user="scram-sha-256", password=password) as other:
                assert value(other, "select 1") == 1
        finally:
            connection.cursor().execute(f"alter role \"scram-sha-256\" password '{server.password}'")


# --- the SCRAM exchange ---


def _server(password: str) -> scramp.core.ScramServer:
    mechanism = scramp.core.ScramMechanism("SCRAM-SHA-256")
    known = mechanism.make_auth_info(password)
    return mechanism.make_server(lambda _user: known)


def test_a_server_must_prove_that_it_knows_the_password() -> None:
    """Else anybody could say "you are in"."""
    client, server = ScramClient("secret", None), _server("secret")
    server.set_client_first(client.first())
    server.set_client_final(client.final(server.get_server_first()))
    assert client.is_unproven
    proof = server.get_server_final()
    for wrong in ("v=AAAA", "", "e=other-error", proof[:-4] + "AAA="):
        with pytest.raises(DisconnectedError):
            client.verify(wrong)
    client.verify(proof)
    assert not client.is_unproven


@pytest.mark.parametrize("change", ["r=no,s=AAAA,i=4096", "r={nonce},s=AAAA,i=4096", "r={nonce}x,s=AA==,i=1", "-"])
def test_a_challenge_that_is_not_ours_or_too_weak_is_refused(change: str) -> None:
    """A nonce that does not continue ours, or fewer iterations than RFC 7677 allows."""
    client = ScramClient("secret", None)
    nonce = client.first().split("r=")[1]
    with pytest.raises(DisconnectedError):
        client.final(change.format(nonce=nonce))


def test_a_key_is_derived_once_and_can_be_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the same password, salt and iterations; not kept in a snapshot."""
    derived: list[bytes] = []

    def derive(password: bytes, salt: bytes, iterations: int) -> bytes:
        derived.append(password)
        return derive_key(password, salt, iterations)

    monkeypatch.setattr("db.protocol.scram.derive_key", derive)
    keys = DerivedKeys()
    for arguments in ((b"p", b"s", 4096), (b"p", b"s", 4096), (b"q", b"s", 4096), (b"p", b"t", 4096)):
        assert keys.derive(*arguments) == derive_key(*arguments)
    assert derived == [b"p", b"q", b"p"]
    keys.forget()
    keys.derive(b"p", b"s", 4096)
    assert len(derived) == 4
    assert "'p'" not in repr(keys)


# --- TLS ---


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


def test_a_statement_is_cancelled_over_tls_too(tls_server: tuple[PostgresServer, int], authority: Authority) -> None:
    """The second socket speaks as the first one does."""
    server, port = tls_server
    address = Address("localhost", port, context(authority))
    with connected(server, address=address, reserve_s=20) as connection:
        connection.deadline = Deadline.after(1)
        value(connection, "select pg_sleep(0.5)::text")
        with pytest.raises(ServerOperationalError) as caught:  # its own limit, of a second from now, is too late
            connection.cursor().execute("select pg_sleep(0.8)")
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
            connection.deadline = Deadline.after(0.5)
            proxy.inject(Fault(Action.TRICKLE, seconds=0.1))
            began = time.monotonic()
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
            connect(session(server, address=address), deadline=Deadline.after(0.3))


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


# --- PgBouncer ---


def test_statements_and_limits_hold_behind_a_transaction_pooler(server: PostgresServer, tmp_path: Path) -> None:
    """One Sync a flight: what belongs together lands on one server connection; no limit stays behind on it."""
    with PgBouncer(server, tmp_path, pool_size=2) as pooler:
        port, habits = pooler.port, Habits()
        options: dict[str, Any] = {
            "deadline": Deadline.after(30),
            "habits": habits,
            "optional": {"idle_session_timeout": "9s"},
        }
        with connected(server, port, **options) as one, connected(server, port, **options) as other:
            assert str(one._address) in habits.refuse_parameters
            for connection in (one, other):
                connection.autocommit = True
                connection.deadline = Deadline.after(20)
            _interleave(one, other)
            one.deadline = Deadline.after(0.5)
            with pytest.raises(ServerOperationalError) as caught:
                one.cursor().execute("select pg_sleep(%s)", (30,))
            assert sqlstate_of(caught.value) == "57014"
            for connection in (one, other):
                connection.deadline = Deadline.after(10_000_000)
                assert value(connection, "show statement_timeout") == "0"


def _interleave(one: Connection, other: Connection) -> None:
    """Use more clients than statements may hold a server for."""
    for number in range(20):
        assert value(one, "select %s::int", (number,)) == number
        assert value(other, "select 'x' || %s::text", (number,)) == f"x{number}"
        one.autocommit = False
        assert value(one, "select %s::int", (number,)) == number
        assert value(one, "show statement_timeout") != "0"
        one.commit()
        one.autocommit = True
