"""Stops what another connection's server process is doing, from a second socket.

https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS
"""

import socket

from db.deadline import Deadline
from db.errors import DeadlineExceededError
from db.patience import timeout_s
from db.protocol import wire
from db.protocol.dial import Address, redial
from db.protocol.server_errors import DisconnectedError


def cancel(peer: socket.socket, address: Address, key: bytes, deadline: Deadline) -> bool:
    """Ask the server behind `peer` to stop the statement of `key`; say whether it took the request in time.

    The server closes the second connection once the signal is sent: after that no later statement can be hit.
    """
    try:
        with redial(peer, address, deadline) as sock:
            sock.settimeout(timeout_s(deadline))
            sock.sendall(wire.cancel_request(key))
            return sock.recv(1) == b""
    except (DeadlineExceededError, DisconnectedError, OSError):
        return False
