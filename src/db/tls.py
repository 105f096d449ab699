"""How the server proves who it is: by certificate and host name, always, unless it is this very machine.

Knows nothing of PostgreSQL's negotiation: a context, or none.
"""

import ssl
from functools import cache
from ipaddress import ip_address
from pathlib import Path

from db.errors import ConfigurationError
from db.protocol.dial import ALPN
from db.settings import RDS_AUTHORITIES, SYSTEM_AUTHORITIES, DatabaseSettings, Tls

AUTHORITIES = Path(__file__).with_name("authorities.pem")
"""The roots of RDS, Aurora and RDS Proxy; `make authorities` writes it."""

PEM = "-----BEGIN CERTIFICATE-----"


def client_context(settings: DatabaseSettings, host: str, *, any_curve: bool = False) -> ssl.SSLContext | None:
    """Return the process's context that verifies `host`; None for plaintext, which stays on this machine.

    `any_curve` is for a server that does not take the one of the usual context; nothing else is different.
    Raises ConfigurationError where plaintext would leave the machine, or the authorities cannot be read.
    """
    if settings.tls is Tls.INSECURE_LOCAL_ONLY:
        _require_loopback(host)
        return None
    region = _region(host) if settings.tls_ca == RDS_AUTHORITIES else None
    return _verifying(settings.tls_ca, region, any_curve=any_curve)


def system_context(*, any_curve: bool = False) -> ssl.SSLContext:
    """Return the process's context that trusts whom the system trusts."""
    return _verifying(SYSTEM_AUTHORITIES, None, any_curve=any_curve)


def _require_loopback(host: str) -> None:
    """Refuse a peer that is not this machine: whatever else is set, no credential crosses a network in clear."""
    if not is_loopback(host):
        raise ConfigurationError(f"DB_TLS=insecure-local-only is for a server on this machine, and {host} is not")


def is_loopback(host: str) -> bool:
    """Say whether `host` is this machine by its very name; no name is resolved."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def strict_context() -> ssl.SSLContext:
    """Return a new context that checks certificate and host name, and trusts nobody yet.

    Python's defaults differ between versions, and write a connection's keys into SSLKEYLOGFILE; what matters is said
    here, and the same on all.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # certificate and host name are checked
    context.hostname_checks_common_name = False  # which names no host: https://www.rfc-editor.org/rfc/rfc9525#section-2
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


@cache
def _verifying(authorities: str, region: str | None, *, any_curve: bool) -> ssl.SSLContext:
    context = strict_context()
    if not any_curve:
        # Up to 17 PostgreSQL takes no other unless told to: to offer another first costs a flight (HelloRetryRequest),
        # and Python can name several, this one first, since 3.15 only.
        context.set_ecdh_curve("prime256v1")
    context.set_alpn_protocols([ALPN])  # what direct TLS asks for; in answer to an SSLRequest it does no harm
    _trust(context, authorities, region)
    return context


def _trust(context: ssl.SSLContext, authorities: str, region: str | None) -> None:
    if authorities == SYSTEM_AUTHORITIES:
        return context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    if authorities == RDS_AUTHORITIES:
        return context.load_verify_locations(cadata=_rds_authorities(region))
    is_text = PEM in authorities  # comments may stand before it, in any language
    given = {"cadata": authorities.encode("ascii", "ignore").decode()} if is_text else {"cafile": authorities}
    try:
        return context.load_verify_locations(**given)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError; no path has a NUL in it
        source = "its text" if is_text else authorities
        raise ConfigurationError(f"DB_TLS_CA: no PEM certificates can be read from {source}") from error


def _region(host: str) -> str | None:
    """Return the AWS region in an endpoint's name; None where it has none."""
    name, found, _ = host.lower().rpartition(".rds.amazonaws.com")
    return name.rpartition(".")[2] if found else None


def _rds_authorities(region: str | None) -> str:
    """Return the PEM of the region's roots and RDS Proxy's; all where that region is not in the file.

    A root takes 0.2 ms to parse: all of them are twenty, a region's three are less than one.
    """
    _, *roots = AUTHORITIES.read_text(encoding="ascii").split("\n# Amazon ")
    chosen = [root for root in roots if root.startswith(f"RDS {region} ")]
    proxy = [root for root in roots if not root.startswith("RDS ")]
    return "\n# Amazon ".join(["", *chosen, *proxy] if chosen else ["", *roots])
