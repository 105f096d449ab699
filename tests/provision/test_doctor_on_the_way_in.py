"""The doctor on the way to a server: what keeps us out, whom TLS trusts, what stands between."""

import socket
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from psycopg import sql

from db import Tls
from db.settings import Mode
from local.pgbouncer import PgBouncer
from provision.findings import Level
from provision.rotation import Rotation
from tests.faults.proxy import Action, Direction, Fault, Proxy
from tests.faults.tls import Authority, TlsFront
from tests.provision.conftest import Site
from tests.provision.examining import look


@pytest.mark.parametrize(
    ("days", "level"), [(1, Level.OK), (365, Level.WARNING), (380, Level.FAILURE)], ids=["long", "soon", "at once"]
)
def test_the_certificates_days_are_counted(provisioned: Site, folder: Path, days: float, level: Level) -> None:
    """Good for long, to be renewed soon, or at once; by our clock, the certificate being good for 383 days more."""
    authority = Authority(folder)
    ends = datetime.now(UTC) + timedelta(days=383)
    with TlsFront(provisioned.server.port, authority.certificate("localhost", ends=ends)) as front:
        way: dict[str, Any] = {
            "host": "localhost",
            "port": front.port,
            "tls": Tls.VERIFY_FULL,
            "tls_ca": str(authority.file),
        }
        found = look(provisioned, now=lambda: time.time() + days * 86400, **way)
    assert found["certificate"].level is level
    assert "TLSv1.3, verified" in found["certificate"].says


def test_a_certificate_of_a_stranger_is_a_failure(provisioned: Site, folder: Path) -> None:
    """The line names what to set, and nothing after it is looked at."""
    authority, stranger = Authority(folder), Authority(folder / "..")
    with TlsFront(provisioned.server.port, stranger.certificate("localhost")) as front:
        way: dict[str, Any] = {
            "host": "localhost",
            "port": front.port,
            "tls": Tls.VERIFY_FULL,
            "tls_ca": str(authority.file),
        }
        found = look(provisioned, **way)
    assert found["certificate"].level is Level.FAILURE
    assert "DB_TLS_CA" in found["certificate"].advice


@pytest.mark.usefixtures("without_patience")
def test_a_server_without_tls_is_a_failure(provisioned: Site) -> None:
    """Where TLS is wanted and the server says no."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        answering = threading.Thread(target=refuse_tls, args=(listener,))
        answering.start()
        found = look(provisioned, tls=Tls.VERIFY_FULL, port=listener.getsockname()[1])
        listener.shutdown(socket.SHUT_RDWR)
        answering.join()
    assert "does not speak TLS" in found["reach"].says


def refuse_tls(listener: socket.socket) -> None:
    """Answer every SSLRequest with N, until it is shut down."""
    with suppress(OSError):
        while True:
            client, _ = listener.accept()
            with client:
                client.recv(8)
                client.sendall(b"N")


@pytest.mark.parametrize(
    ("changes", "check"),
    [
        ({"host": "no-such-host.invalid", "tls": Tls.VERIFY_FULL}, "reach"),
        ({"port": 1}, "reach"),
        ({"secret_id": "no/such/secret"}, "secret"),
        ({"name": "absent"}, "login"),
    ],
)
@pytest.mark.usefixtures("without_patience")
def test_what_keeps_us_out_is_named(provisioned: Site, changes: dict[str, Any], check: str) -> None:
    """Name, port, secret, database: each has a line of its own, with what to do."""
    found = look(provisioned, **changes)
    assert found[check].level is Level.FAILURE
    assert found[check].advice
    assert "server" not in found


@pytest.mark.usefixtures("without_patience")
@pytest.mark.parametrize(
    ("code", "advice"), [(socket.EAI_AGAIN, "no resolver answers"), (socket.EAI_NONAME, "correct DB_HOST")]
)
def test_a_resolver_without_an_answer_is_told_from_a_name_that_nobody_knows(
    provisioned: Site, monkeypatch: pytest.MonkeyPatch, code: int, advice: str
) -> None:
    """What the system says of both is alike; what is to be done is not."""
    system = socket.getaddrinfo

    def look_up(host: str, *rest: Any, **options: Any) -> Any:  # noqa: ANN401 - as the system's
        if host == "db.example":
            raise socket.gaierror(code, "in the system's words")
        return system(host, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert advice in look(provisioned, host="db.example", tls=Tls.VERIFY_FULL)["reach"].advice


def test_a_database_that_is_closed_is_told_from_a_wrong_password(site: Site) -> None:
    """The password was right: there is something else to do."""
    site.provision()
    with site.connect("postgres", site.server.password, "postgres") as admin:
        admin.execute(sql.SQL("alter database {} allow_connections false").format(sql.Identifier(site.name)))
    finding = look(site)["login"]
    assert "55000" in finding.says
    assert "allow_connections true" in finding.advice


@pytest.mark.usefixtures("without_patience")
@pytest.mark.parametrize("changes", [{}, {"port": 1}], ids=["up", "away"])
def test_secrets_manager_is_asked_once_when_the_secret_rotates(
    provisioned: Site, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    """Each question takes as long as its time-out where nobody answers."""
    asked = Mock(return_value=Rotation(refused="ConnectTimeoutError"))
    monkeypatch.setattr("provision.doctor.rotation_of", asked)
    assert look(provisioned, **changes)["rotation"].level is Level.WARNING
    asked.assert_called_once_with(f"{provisioned.name}/app")


def test_a_server_that_is_silent_is_a_failure_in_time(provisioned: Site) -> None:
    """As behind a security group that lets nobody in."""
    with Proxy(provisioned.server.port) as proxy:
        proxy.faults = lambda _: [Fault(Action.SWALLOW, Direction.TO_SERVER)]
        found = look(provisioned, port=proxy.port, connect_timeout_s=0.5)
    assert "security groups" in found["reach"].advice


def test_a_wrong_password_is_a_failure(site: Site) -> None:
    """The secret and the role do not agree."""
    site.provision()
    site.keep_secret(password="wrong")
    site.keep_secret(password="wrong again")
    assert look(site)["login"].level is Level.FAILURE


def test_a_pooler_is_seen_and_told_from_none(provisioned: Site, tmp_path: Path) -> None:
    """A real PgBouncer, by the sessions that it announces, which are not the server's; and the mode must say so."""
    assert look(provisioned)["pooler"].says == "none: the server itself answers"
    assert look(provisioned, mode=Mode.POOLER)["pooler"].level is Level.WARNING
    with PgBouncer(provisioned.server, tmp_path) as pooler:
        found = look(provisioned, port=pooler.port)
        assert found["pooler"].level is Level.WARNING
        assert "DB_MODE=pooler" in found["pooler"].advice
        assert look(provisioned, port=pooler.port, mode=Mode.POOLER)["pooler"].level is Level.OK
