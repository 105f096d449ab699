"""Whom a connection trusts, and that nothing turns that off."""

import re
import ssl
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from db import ConfigurationError, DatabaseSettings, Tls
from db.credentials import exchange
from db.tls import AUTHORITIES, client_context
from local.authorities import PROXY, RDS, UnexpectedAuthorityError, check, common_name, render
from tests.faults.tls import Authority

REGIONS = {"us-east-1", "us-west-2", "eu-central-1", "eu-west-1", "ap-southeast-2", "ap-northeast-1", "sa-east-1"}
RDS_HOST = "db.cxyz.eu-central-1.rds.amazonaws.com"


def settings(**changes: object) -> DatabaseSettings:
    return DatabaseSettings(secret_id="s", **changes)  # type: ignore[arg-type]  # the test names the fields


def trusted(host: str, **changes: object) -> list[str]:
    """Return the common names that the context for `host` trusts."""
    context = client_context(settings(**changes), host)
    assert context is not None
    return [common_name(x509.load_der_x509_certificate(der)) for der in context.get_ca_certs(binary_form=True)]


def test_secrets_manager_is_checked_as_strictly_and_no_keys_are_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Python's own context would write the keys of the connection that the password comes in on."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    context = exchange._verifying.__wrapped__()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert not context.hostname_checks_common_name
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert not context.keylog_filename
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("any_curve", [False, True])
@pytest.mark.parametrize("authorities", ["rds", "system"])
def test_certificate_and_host_name_are_always_checked(authorities: str, *, any_curve: bool) -> None:
    """Nothing older than TLS 1.2, nothing unverified, no common name for a host, whichever curves are offered."""
    context = client_context(settings(tls_ca=authorities), RDS_HOST, any_curve=any_curve)
    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert not context.hostname_checks_common_name
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_one_context_serves_the_process() -> None:
    """Two databases of one region share what is costly to build."""
    assert client_context(settings(), RDS_HOST) is client_context(settings(pool_size=0), "other" + RDS_HOST)


def test_every_curve_is_offered_to_whom_is_trusted_anyway() -> None:
    """By a context of its own, which differs in nothing but that, and is one for the process, too."""
    usual, wider = (client_context(settings(), RDS_HOST, any_curve=each) for each in (False, True))
    assert usual
    assert wider
    assert wider is not usual
    assert wider is client_context(settings(), RDS_HOST, any_curve=True)
    for of in (ssl.SSLContext.get_ca_certs, ssl.SSLContext.get_ciphers):
        assert of(wider) == of(usual)
    alike = ("check_hostname", "hostname_checks_common_name", "maximum_version", "minimum_version", "options")
    for each in (*alike, "verify_flags", "verify_mode"):
        assert getattr(wider, each) == getattr(usual, each)


def test_a_region_is_trusted_by_its_own_roots_and_rds_proxys() -> None:
    """An endpoint's certificate is checked against the few roots that may have signed it."""
    names = trusted(RDS_HOST)
    assert [name for name in names if RDS.fullmatch(name)] == [
        f"Amazon RDS eu-central-1 Root CA {key} G1" for key in ("ECC384", "RSA2048", "RSA4096")
    ]
    assert len([name for name in names if PROXY.fullmatch(name)]) == len(names) - 3 == 4


@pytest.mark.parametrize("host", ["db.example.com", "db.cxyz.xx-new-1.rds.amazonaws.com", "rds.amazonaws.com"])
def test_a_host_without_a_known_region_is_checked_against_all(host: str) -> None:
    """A region that the file does not know, or a name of one's own, is no reason to trust less or more."""
    regions = {name.split()[2] for name in trusted(host) if RDS.fullmatch(name)}
    assert regions >= REGIONS
    assert len(regions) > 30


def test_an_authority_of_ones_own_is_the_only_one(tmp_path: Path) -> None:
    """A PEM file replaces the others, and so does its text, where there is no file to point to."""
    file = Authority(tmp_path).file
    assert len(trusted("db.example.com", tls_ca=str(file))) == 1
    for text in (file.read_text(), f"\n# ours\n{file.read_text()}", f"# die der Ämter\n{file.read_text()}# …\n"):
        assert trusted("db.example.com", tls_ca=text) == trusted("db.example.com", tls_ca=str(file))


def test_a_text_that_is_no_certificate_is_refused() -> None:
    """A text that was cut off is an error, and never stands for the usual authorities."""
    with pytest.raises(ConfigurationError, match="its text"):
        client_context(settings(tls_ca="-----BEGIN CERTIFICATE-----\nMIIB"), "db.example.com")


@pytest.mark.parametrize("content", [None, "", "not a certificate"])
def test_a_file_without_certificates_is_named(tmp_path: Path, content: str | None) -> None:
    """A wrong path ends in an error, never in a context that trusts somebody else."""
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigurationError, match=re.escape(str(file))):
        client_context(settings(tls_ca=str(file)), "db.example.com")


def test_a_path_that_cannot_be_one_is_refused() -> None:
    """As one where nothing is."""
    with pytest.raises(ConfigurationError, match="no PEM certificates can be read"):
        client_context(settings(tls_ca="/ca\0.pem"), "db.example.com")


@pytest.mark.parametrize("host", ["10.0.0.1", "db", RDS_HOST, "localhost.example.com", "127.0.0.1.example.com", "::2"])
def test_plaintext_never_leaves_the_machine(host: str) -> None:
    """The one switch that turns TLS off is refused for any other peer, in Lambda or out of it."""
    with pytest.raises(ConfigurationError, match="insecure-local-only is for a server on this machine"):
        client_context(settings(tls=Tls.INSECURE_LOCAL_ONLY), host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_plaintext_serves_on_this_machine(host: str) -> None:
    """A laptop's server needs no certificate."""
    assert client_context(settings(tls=Tls.INSECURE_LOCAL_ONLY), host) is None


def test_no_other_setting_weakens_tls() -> None:
    """One setting says whom to trust, one how TLS begins; only the loud value of the third gives no context at all."""
    assert [each.name for each in fields(DatabaseSettings) if "tls" in each.name] == [
        "tls",
        "tls_ca",
        "tls_negotiation",
    ]
    assert list(Tls) == ["verify-full", "insecure-local-only"]


def test_every_shipped_authority_is_what_its_name_says() -> None:
    """The file holds roots of Amazon's, signed by themselves, valid for the next year, and nothing else."""
    in_a_year = datetime.now(UTC) + timedelta(days=365)
    roots = x509.load_pem_x509_certificates(AUTHORITIES.read_bytes())
    for root in roots:
        check(root, re.compile(f"{RDS.pattern}|{PROXY.pattern}"), in_a_year)
    assert f"# Roots: {len(roots)}\n" in AUTHORITIES.read_text()


def test_the_refresh_takes_nothing_but_those_roots(tmp_path: Path) -> None:
    """A certificate that does not belong in Amazon's bundle stops the refresh."""
    with pytest.raises(UnexpectedAuthorityError, match="is not the name of a root that we trust"):
        render(Authority(tmp_path).file.read_bytes(), b"", "a test", datetime.now(UTC))


def test_the_refresh_reproduces_the_file() -> None:
    """What is shipped is what the script writes from those roots."""
    shipped = AUTHORITIES.read_text()
    rds, proxy = shipped.split("\n# Amazon Root CA 1\n")
    written = render(rds.encode(), proxy_store(proxy), "a test", datetime.now(UTC))
    assert written.split("\n\n", 1)[1] == shipped.split("\n\n", 1)[1]


def proxy_store(rest: str) -> bytes:
    return f"# Amazon Root CA 1\n{rest}".encode()
