"""Servers that take none of the curves that we offer at first, so that no other server costs a flight. Real ones."""

import secrets
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, EllipticCurve, generate_private_key
from sqlalchemy import text

from db import Database, DatabaseSettings
from db.deadline import Deadline
from db.protocol.connection import connect
from db.protocol.dial import Address, redial
from db.protocol.opening import Habits
from db.protocol.server_errors import DisconnectedError
from db.tls import client_context, system_context
from local.postgres import PostgresServer
from tests.faults.proxy import Proxy
from tests.faults.tls import TlsFront
from tests.integration.impostor import Impostor, refuses
from tests.integration.wire import connected, options

CURVE = "secp384r1"


@dataclass(frozen=True)
class Particular:
    """A server that speaks TLS in its own way."""

    key: type[EllipticCurve]
    """Its certificate's."""
    newest: str = "TLSv1.3"
    curve: str = "prime256v1"

    def settings(self) -> dict[str, str]:
        """Return what PostgreSQL calls it."""
        return {"ssl_max_protocol_version": self.newest, "ssl_ecdh_curve": self.curve}


PARTICULAR = {
    "a certificate of P-384 by TLS 1.2": Particular(SECP384R1, newest="TLSv1.2"),
    f"ssl_ecdh_curve={CURVE}": Particular(SECP256R1, curve=CURVE),
    "both": Particular(SECP384R1, newest="TLSv1.2", curve=CURVE),
}


class ParticularFront(TlsFront):
    """The same before a server that has no TLS."""

    def __init__(self, upstream_port: int, certificate: Path, particular: Particular) -> None:
        super().__init__(upstream_port, certificate)
        self._context.maximum_version = ssl.TLSVersion[particular.newest.replace(".", "_")]
        self._context.set_ecdh_curve(particular.curve)


def certificate(directory: Path, key: type[EllipticCurve]) -> Path:
    """Return a PEM file with a private key on this curve and localhost's certificate, which its own key has signed."""
    private, name = generate_private_key(key()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(private.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file = directory / "server.pem"
    file.touch(mode=0o600)
    signed = builder.sign(private, hashes.SHA384()).public_bytes(serialization.Encoding.PEM)
    file.write_bytes(private.private_bytes(*pem) + signed)
    return file


@dataclass(frozen=True)
class Site:
    """Such a server behind a proxy that counts."""

    server: PostgresServer
    proxy: Proxy
    settings: DatabaseSettings


def site(server: PostgresServer, proxy: Proxy, authority: Path) -> Site:
    url = f"postgresql://postgres:{server.password}@localhost:{proxy.port}/postgres"
    return Site(server, proxy, DatabaseSettings(url=url, tls_ca=str(authority), pool_size=0))


@pytest.fixture(params=list(PARTICULAR.values()), ids=list(PARTICULAR))
def particular(
    request: pytest.FixtureRequest, server: PostgresServer, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """Each of them: by itself, or through a front where its binaries have no TLS."""
    wanted: Particular = request.param
    file = certificate(tmp_path, wanted.key)
    if not server.has_tls:
        with ParticularFront(server.port, file, wanted) as front, Proxy(front.port) as proxy:
            yield site(server, proxy, file)
        return
    directory = tmp_path_factory.mktemp("particular") / "data"
    with (
        PostgresServer(directory, secrets.token_urlsafe(), settings=wanted.settings(), certificate=file) as own,
        Proxy(own.port) as proxy,
    ):
        yield site(own, proxy, file)


def test_it_is_dialled_once_more_and_from_then_on_once(particular: Site) -> None:
    """Each connect takes a new connection here: the first finds out, the others know; its snapshot must not."""
    database = Database(particular.settings)
    early = not particular.server.has_tls  # a front binds no channel, which the first login finds out as well

    def dials() -> int:
        before = len(particular.proxy.links)
        with database.autocommit() as connection:
            assert connection.scalar(text("select 1")) == 1
        return len(particular.proxy.links) - before

    assert [dials() for _ in range(3)] == [2 + early, 1, 1]
    database.close()


def test_a_second_socket_speaks_as_the_first_one(particular: Site) -> None:
    """Which cancels a statement, whichever the curves."""
    context = client_context(particular.settings, "localhost")
    wider = client_context(particular.settings, "localhost", any_curve=True)
    address = Address("localhost", particular.proxy.port, context, any_curve=lambda: wider)
    with (
        connected(particular.server, address=address) as connection,
        redial(connection.transport().socket, connection._address, Deadline.after(10)) as second,
    ):
        assert isinstance(second, ssl.SSLSocket)
        assert second.context is wider


def test_who_refuses_every_handshake_is_dialled_twice(server: PostgresServer) -> None:
    """And has learnt nothing; the next connect finds that out again."""
    impostor, habits = Impostor(refuses), Habits()
    with impostor.listening() as port:
        address = Address("localhost", port, system_context(), any_curve=lambda: system_context(any_curve=True))
        for dials in (2, 4):
            with pytest.raises(DisconnectedError, match="HANDSHAKE_FAILURE"):
                connect(options(server, address=address), deadline=Deadline.after(10), habits=habits)
            assert impostor.met == dials
    assert not habits.refuse_curve


def test_a_context_of_ones_own_is_all_that_is_tried(particular: Site) -> None:
    """Who hands one over has decided what is offered."""
    address = Address("localhost", particular.proxy.port, client_context(particular.settings, "localhost"))
    with pytest.raises(DisconnectedError, match="HANDSHAKE_FAILURE"), connected(particular.server, address=address):
        pass
    assert len(particular.proxy.links) == 1
