"""Somebody stands between us and the server: refused, in time, with not one byte of credentials sent."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from db import Database, DatabaseSettings, UnreachableError
from db.settings import TlsNegotiation
from local.postgres import PostgresServer
from tests.canary import PASSWORD
from tests.faults.tls import SSL_REQUEST, Authority, TlsFront
from tests.integration.impostor import (
    Impostor,
    Speech,
    refuses,
    refuses_first,
    says,
    server_context,
    shakes_hands,
    without_alternative_names,
)

USER = "canary-user"
HOST = "localhost"
TLS_RECORDS = {20, 21, 22}
"""ChangeCipherSpec, Alert and Handshake: what a client sends before it trusts; 23 is application data."""

AUTHENTICATION_OK = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I"
CLEARTEXT_PLEASE = b"R\0\0\0\x08\0\0\0\x03"
NOW = datetime.now(UTC)


def shows(*names: str, behind: bytes = b"", newest: str = "TLSv1_3", **issued: Any) -> Callable[[trustme.CA], Speech]:  # noqa: ANN401 - trustme's
    """Return who shows a certificate for `names`, says `behind` behind its S, and speaks no newer TLS than that."""

    def impostor(authority: trustme.CA) -> Speech:
        return shakes_hands(server_context(authority.issue_cert(*names, **issued), newest), b"S" + behind)

    return impostor


def stranger(_ours: trustme.CA) -> Speech:
    """Show a certificate for the right name, of an authority that nobody trusts."""
    return shakes_hands(server_context(trustme.CA().issue_cert(HOST)))


def nameless(ours: trustme.CA) -> Speech:
    """Show a certificate of before there were alternative names: https://www.rfc-editor.org/rfc/rfc9525#section-2."""
    return shakes_hands(server_context(without_alternative_names(ours, HOST)))


def speechless(answer: bytes) -> Callable[[trustme.CA], Speech]:
    """Return who has no certificate, and answers with this."""
    return lambda _ours: says(answer)


def reluctant(made: Callable[[trustme.CA], Speech]) -> Callable[[trustme.CA], Speech]:
    """Return who refuses the first handshake, so that another is offered, and is then what `made` makes."""
    return lambda ours: refuses_first(made(ours))


DAY = timedelta(days=1)
IMPOSTORS: dict[str, Callable[[trustme.CA], Speech]] = {
    "answers N": speechless(b"N"),
    "answers N and asks for the password": speechless(b"N" + CLEARTEXT_PLEASE),
    "answers with an error": speechless(b"E\0\0\0\x14SFATAL\0C28000\0\0\0"),
    "speaks before it is asked": speechless(AUTHENTICATION_OK),
    "asks for the password in clear": speechless(CLEARTEXT_PLEASE),
    "answers S and goes on in clear": speechless(b"S" + CLEARTEXT_PLEASE),
    "says nothing": speechless(b""),
    "another authority": stranger,
    "another host's name": shows("db.example.com"),
    "an address and no name": shows("127.0.0.1"),
    "a common name only": nameless,
    "a common name beside an address": shows("127.0.0.1", common_name=HOST),
    "a common name beside another host's": shows("x.example.com", common_name=HOST),
    "expired": shows(HOST, not_before=NOW - 9 * DAY, not_after=NOW - DAY),
    "not yet valid": shows(HOST, not_before=NOW + DAY, not_after=NOW + 9 * DAY),
    "TLS 1.1": shows(HOST, newest="TLSv1_1"),
    "TLS 1.0": shows(HOST, newest="TLSv1"),
    "data behind the S": shows(HOST, behind=AUTHENTICATION_OK),
    "an error behind the S": shows(HOST, behind=b"E\0\0\0\x0eC28P01\0Mno\0\0"),
    "one byte behind the S": shows(HOST, behind=b"S"),
    "refuses every handshake": lambda _ours: refuses,
}
RELUCTANT = {
    f"refuses a handshake, then: {name}": reluctant(IMPOSTORS[name])
    for name in (
        "answers N and asks for the password",
        "answers S and goes on in clear",
        "another authority",
        "another host's name",
        "expired",
        "TLS 1.1",
        "data behind the S",
    )
}
"""The other offer, which such a one has made us make, is worth as much as the first."""


@pytest.fixture(scope="module")
def ours() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="module")
def trusted(ours: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("trusted") / "authority.pem"
    ours.cert_pem.write_to_path(str(file))
    return file


@pytest.mark.parametrize("negotiation", TlsNegotiation)
def test_the_right_server_is_trusted(ours: trustme.CA, trusted: Path, negotiation: TlsNegotiation) -> None:
    """The same impostor with the right certificate is told who we are: the matrix below can fail."""
    context = server_context(ours.issue_cert(HOST))
    context.set_alpn_protocols(["postgresql"])
    impostor = Impostor(shakes_hands(context))
    with impostor.listening() as port, pytest.raises(UnreachableError):
        connect(port, trusted, negotiation)
    assert USER.encode() in impostor.decrypted
    assert in_clear(impostor.clear).startswith(SSL_REQUEST) == (negotiation is TlsNegotiation.POSTGRES)


@pytest.mark.parametrize("negotiation", TlsNegotiation)
def test_a_refused_handshake_is_tried_once_more(ours: trustme.CA, trusted: Path, negotiation: TlsNegotiation) -> None:
    """With whoever proves then that he is the right one; the reluctant ones of the matrix below can be trusted, too."""
    context = server_context(ours.issue_cert(HOST))
    context.set_alpn_protocols(["postgresql"])
    impostor = Impostor(refuses_first(shakes_hands(context)))
    with impostor.listening() as port, pytest.raises(UnreachableError):
        connect(port, trusted, negotiation)
    assert USER.encode() in impostor.decrypted


@pytest.mark.parametrize("protocols", [[], ["http/1.1"]])
def test_direct_tls_tells_nothing_to_who_is_trusted_and_no_postgresql(
    ours: trustme.CA, trusted: Path, protocols: list[str]
) -> None:
    """Another server of the same name, with a certificate of its own, does not agree on PostgreSQL's protocol."""
    context = server_context(ours.issue_cert(HOST))
    context.set_alpn_protocols(protocols)
    impostor = Impostor(shakes_hands(context))
    with impostor.listening() as port, pytest.raises(UnreachableError, match=r"ALPN|SSL"):
        connect(port, trusted, TlsNegotiation.DIRECT)
    assert impostor.decrypted == b""


def connect(port: int, authority: Path, negotiation: TlsNegotiation = TlsNegotiation.POSTGRES) -> None:
    """Borrow a connection with recognisable credentials, verified as it always is, within two seconds."""
    url = f"postgres://{USER}:{PASSWORD}@{HOST}:{port}/canary-database?sslmode=disable"
    options: dict[str, Any] = {
        "tls_ca": str(authority),
        "tls_negotiation": negotiation,
        "pool_size": 0,
        "connect_timeout_s": 2,
    }
    database = Database(DatabaseSettings(url=url, **options))
    with database.invocation(15_000), database.autocommit():
        pass


def in_clear(sent: bytes | bytearray) -> bytes:
    """Return what was sent outside of TLS records that carry a handshake or an alert; fail at application data."""
    clear, rest = bytearray(), bytes(sent)
    while rest:
        if rest[0] in TLS_RECORDS and rest[1:2] == b"\x03":
            rest = rest[5 + int.from_bytes(rest[3:5]) :]
        elif rest[0] == 0 and rest.startswith(SSL_REQUEST):
            clear, rest = clear + SSL_REQUEST, rest[len(SSL_REQUEST) :]
        else:
            clear, rest = clear + rest[:1], rest[1:]
    return bytes(clear)


@pytest.mark.parametrize("negotiation", TlsNegotiation)
@pytest.mark.parametrize("made", [*IMPOSTORS.values(), *RELUCTANT.values()], ids=[*IMPOSTORS, *RELUCTANT])
def test_an_impostor_is_refused_and_learns_nothing(
    made: Callable[[trustme.CA], Speech], ours: trustme.CA, trusted: Path, negotiation: TlsNegotiation
) -> None:
    """A typed error; in clear nothing but SSLRequests, encrypted nothing at all, nowhere a name or a password."""
    impostor = Impostor(made(ours))
    with impostor.listening() as port, pytest.raises(UnreachableError) as raised:
        connect(port, trusted, negotiation)
    assert f"{HOST}:{port}" in str(raised.value)
    assert impostor.decrypted == b""
    assert in_clear(impostor.clear).replace(SSL_REQUEST, b"") == b""
    assert b"canary" not in bytes(impostor.clear)


def test_the_error_says_what_is_wrong_with_a_certificate(trusted: Path) -> None:
    """Whoever reads the log knows that it is about trust, and which setting says whom to trust."""
    impostor = Impostor(shakes_hands(server_context(trustme.CA().issue_cert(HOST))))
    with impostor.listening() as port, pytest.raises(UnreachableError, match=r"CERTIFICATE_VERIFY_FAILED.*DB_TLS_CA"):
        connect(port, trusted)


@pytest.mark.parametrize("authorities", ["rds", "system"])
def test_the_shipped_authorities_trust_no_authority_of_ones_own(
    authorities: str, postgres: PostgresServer, tmp_path: Path
) -> None:
    """With the default settings a server with a certificate of anybody else's is refused."""
    with TlsFront(postgres.port, Authority(tmp_path).certificate(HOST)) as front:
        settings = DatabaseSettings(url=f"postgres://u:p@{HOST}:{front.port}/d", tls_ca=authorities, pool_size=0)
        database = Database(settings)
        with database.invocation(15_000), pytest.raises(UnreachableError, match="VERIFY_FAILED"), database.autocommit():
            pass


def test_a_verified_server_serves(postgres: PostgresServer, tmp_path: Path, pool_size: int) -> None:
    """verify-full with an authority of one's own, on a real server behind TLS."""
    authority = Authority(tmp_path)
    with TlsFront(postgres.port, authority.certificate(HOST)) as front:
        url = f"postgres://postgres:{postgres.password}@{HOST}:{front.port}/postgres"
        database = Database(DatabaseSettings(url=url, tls_ca=str(authority.file), pool_size=pool_size))
        with database.autocommit() as connection:
            assert connection.exec_driver_sql("select 1").scalar_one() == 1
        database.close()
