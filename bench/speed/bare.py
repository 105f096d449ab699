"""The least that Python can do for a query: send what was encoded before, receive the answer, read none of it."""

from bench.flights.peers import Target, Work
from db.deadline import UNBOUNDED
from db.dialect import session_from
from db.protocol import wire
from db.protocol.connection import connect

QUERY = wire.parse("select cast($1 as int)") + wire.bind(["1"]) + wire.DESCRIBE_PORTAL + wire.EXECUTE + wire.SYNC
READY = b"Z\x00\x00\x00\x05I"
CHUNK_BYTES = 1 << 16


class Bare:
    """One connection, whose socket is used directly."""

    def __init__(self, target: Target, *, ping: bool = False) -> None:
        """Log in, in clear."""
        del ping
        session = session_from(host="127.0.0.1", port=target.port, user="postgres", password=target.password)
        self._connection = connect(session, deadline=UNBOUNDED)
        self._socket = self._connection.transport().socket
        self._socket.setblocking(True)  # noqa: FBT003 - the socket's own signature

    def query(self, _work: Work) -> None:
        """Send the query and receive until the server is ready for the next one."""
        self._socket.send(QUERY)
        while not self._socket.recv(CHUNK_BYTES).endswith(READY):
            pass

    transaction = autocommit = query

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
