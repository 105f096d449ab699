"""Registers this process as an internal extension that wants no events: Lambda then sends SIGTERM before it ends.

Speaks the little HTTP that this takes by itself: http.client costs a start thirty modules. Knows nothing of what is
done at the end. https://docs.aws.amazon.com/lambda/latest/dg/runtimes-extensions-api.html
"""

import socket

VERSION = "2020-01-01"
NAME = "slotwise-shutdown"
IDENTIFIER = "lambda-extension-identifier"
TIMEOUT_S = 5.0
"""How long the API, which is on this machine, may take to answer a registration.

INIT has ten seconds. Whoever has registered, and then does not ask for events, holds INIT up until they are over.
"""
HEAD_LIMIT_BYTES = 65_536


def register(api: str) -> socket.socket | None:
    """Register at `api` (host:port), and say that this extension is ready; None where it was not taken.

    Lambda begins to serve when each extension has asked for its next event. None ever comes for this one: the
    connection on which it would come is to be kept as long as the environment lives.
    """
    events = b'{"events": []}'
    try:
        connection = _ask(api, "POST", "register", {"Lambda-Extension-Name": NAME}, events)
        with connection:
            identifier = _header(_head(connection), IDENTIFIER)
        return _ask(api, "GET", "event/next", {"Lambda-Extension-Identifier": identifier}) if identifier else None
    except (OSError, ValueError, OverflowError):  # the last two: an address that is none
        return None


def _ask(api: str, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> socket.socket:
    """Send a request; return the connection, on which the answer will come."""
    host, _, port = api.partition(":")
    lines = [f"{method} /{VERSION}/extension/{path} HTTP/1.1", f"Host: {api}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    connection = socket.create_connection((host, int(port or 80)), TIMEOUT_S)
    try:
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
    except BaseException:
        connection.close()
        raise
    return connection


def _head(connection: socket.socket) -> str:
    """Return the answer's status line and headers; what arrived of them where the connection ends."""
    head = b""
    while b"\r\n\r\n" not in head and len(head) < HEAD_LIMIT_BYTES and (received := connection.recv(4096)):
        head += received
    return head.partition(b"\r\n\r\n")[0].decode("latin-1")


def _header(head: str, wanted: str) -> str | None:
    """Return a header of an answer that says 200; None where it says anything else."""
    status, *lines = head.split("\r\n")
    if status.split(" ")[1:2] != ["200"]:
        return None
    found = dict(line.lower().split(": ", 1) for line in lines if ": " in line)
    return found.get(wanted)
