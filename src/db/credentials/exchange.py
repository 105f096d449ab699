"""One request over HTTP and its answer, over TLS that is verified. Knows nothing of secrets.

Imported where one is fetched, and not before: http.client costs a start that does not need it twenty modules.
"""

import ssl
from collections.abc import Mapping
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPSConnection

from db.environment.endpoint import Endpoint

__all__ = ["HTTPException", "exchange"]

CONNECT_TIMEOUT_S = 1.0
LIMIT_BYTES = 1024 * 1024
"""More than a secret can be: 64 KB of text, of which JSON may write each character as six."""


def exchange(
    endpoint: Endpoint, path: str, headers: Mapping[str, str], body: bytes | None, within_s: float
) -> tuple[int, bytes]:
    """Send a POST, or where there is no body a GET; return status and content of the answer.

    Each step of it may take `within_s`, and the connect a second. Raises OSError, HTTPException and ValueError.
    """
    connection = _connection(endpoint, min(within_s, CONNECT_TIMEOUT_S))
    try:
        connection.connect()
        connection.sock.settimeout(within_s)
        connection.request("GET" if body is None else "POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read(LIMIT_BYTES)
    finally:
        connection.close()


def _connection(endpoint: Endpoint, timeout_s: float) -> HTTPConnection:
    if endpoint.is_plain:
        return HTTPConnection(endpoint.host, endpoint.port, timeout=timeout_s)
    return HTTPSConnection(endpoint.host, endpoint.port, timeout=timeout_s, context=_verifying())


@cache
def _verifying() -> ssl.SSLContext:
    """Trust whom the system trusts, and verify the host's name."""
    return ssl.create_default_context()
