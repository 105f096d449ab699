"""Where Secrets Manager is reached, in the usual cases; the unusual ones are the SDK's to know. Asks nobody.

https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
https://docs.aws.amazon.com/general/latest/gr/asm.html
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from db.environment.process import is_local
from db.errors import ConfigurationError
from db.settings import ENVIRONMENT, LAMBDA_MARKS
from db.tls import is_loopback
from db.variables import MAX_PORT

UNUSUAL = frozenset(
    {
        "AWS_CA_BUNDLE",
        "AWS_CONFIG_FILE",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
        "AWS_PROFILE",
        "AWS_USE_DUALSTACK_ENDPOINT",
        "AWS_USE_FIPS_ENDPOINT",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "REQUESTS_CA_BUNDLE",
    }
)
"""Variables, in either case, by which the SDK goes elsewhere, or another way, or trusts others."""

NAMED_BY = ("AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ENDPOINT_URL")
"""Variables that name the endpoint; the first that is set counts."""

KEYS_FILE = "SSLKEYLOGFILE"
"""Where Python and the SDK write what it takes to read along.

https://docs.python.org/3/library/ssl.html#ssl.SSLContext.keylog_filename
"""

DOCKERS_HOST = "host.docker.internal"
"""The machine that a container runs on, by Docker's name for it."""
BRIDGES = tuple(map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
"""Where its address in a network of Docker's is.

https://www.rfc-editor.org/rfc/rfc1918#section-3
"""

_URL = re.compile(r"(https?)://([a-z0-9.-]+)(?::([0-9]{1,5}))?/?", re.IGNORECASE)
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")
"""What the system's resolver takes for an address in one number: https://man7.org/linux/man-pages/man3/inet_aton.3.html"""
_REGION = re.compile(r"(?:us|us-gov|eu|ap|sa|ca|me|af|il|mx|(cn))-[a-z]+-[0-9]+")
"""The regions of the public partitions; China's have a domain of their own."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Whom to connect to."""

    host: str
    port: int | None = None
    """None for the scheme's own."""
    is_plain: bool = False
    """Without TLS: only where a variable says http; see `require_privacy`."""

    @property
    def authority(self) -> str:
        """Host and port as a request names them."""
        return self.host if self.port is None else f"{self.host}:{self.port}"


def require_privacy(environ: Mapping[str, str] = ENVIRONMENT) -> None:
    """Raise ConfigurationError where, in Lambda, a variable has Secrets Manager asked so that others can read along.

    The role's session token would be in the request, ours or the SDK's. `sam local` asks the developer's machine; who
    only says that it is `sam local` still asks nobody outside.
    """
    if not any(mark in environ for mark in LAMBDA_MARKS):
        return
    if environ.get(KEYS_FILE):
        raise ConfigurationError(
            f"{KEYS_FILE} must not be set in Lambda: the keys of its connections belong in no file"
        )
    variable = next((name for name in NAMED_BY if environ.get(name)), None)
    if variable and _leaves_in_clear(environ[variable], is_sam_local=is_local(environ)):
        lets = f"in `sam local` none but to {DOCKERS_HOST}, a container or a private address"
        raise ConfigurationError(f"{variable} must be https: in Lambda no http leaves the machine, {lets}")


def secrets_manager(region: str, environ: Mapping[str, str] = ENVIRONMENT) -> Endpoint | None:
    """Return the endpoint that a variable names, or the region's; None where it takes the SDK to know."""
    if any(value and name.upper() in UNUSUAL for name, value in environ.items()):
        return None
    named = next(filter(None, map(environ.get, NAMED_BY)), None)
    return _named(named) if named else _public(region)


def _leaves_in_clear(url: str, *, is_sam_local: bool) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:  # which it is to the SDK as well
        return False
    host = parts.hostname or ""
    return parts.scheme == "http" and not (is_loopback(host) or (is_sam_local and _is_developers(host)))


def _is_developers(host: str) -> bool:
    """Say whether a container finds the machine that it runs on by `host`; no name is resolved."""
    try:
        return any(ip_address(host) in bridge for bridge in BRIDGES)
    except ValueError:
        is_name = not (_NUMBER.fullmatch(host) or "." in host)  # as of a container beside it: `localstack`
        return is_name or host == DOCKERS_HOST


def _named(url: str) -> Endpoint | None:
    found = _URL.fullmatch(url)
    if not found or int(found[3] or 0) > MAX_PORT:
        return None
    return Endpoint(found[2], int(found[3]) if found[3] else None, is_plain=found[1].lower() == "http")


def _public(region: str) -> Endpoint | None:
    if not (found := _REGION.fullmatch(region)):
        return None
    return Endpoint(f"secretsmanager.{region}.amazonaws.com{'.cn' if found[1] else ''}")
