"""One proxied connection, turn by turn."""

import socket
import time

from tests.faults.link import Link


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        return client, listener.accept()[0]


def test_a_burst_goes_on_also_where_the_proxy_stalls() -> None:
    """What has come from the client while nobody looked is seen before a reply passes."""
    client, ours = tcp_pair()
    server, theirs = tcp_pair()
    link = Link(ours, theirs, [], settle_s=0.001)
    with client, server, ours, theirs, link._waker, link._wake:
        client.sendall(b"one")
        link._turn()
        server.sendall(b"reply")

        def stall() -> None:
            client.sendall(b"two")
            time.sleep(0.01)

        link._obey = stall  # type: ignore[method-assign]  # between looking and passing on
        link._turn()
        assert link.traffic().to_client == 0
