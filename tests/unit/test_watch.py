"""How the kernel is told to notice that the other machine is gone, as a table and on a real socket."""

import socket

import pytest

from db.deadline import Deadline
from db.protocol.dial import Address, dial, watch


@pytest.mark.parametrize(
    ("silence_s", "within_s"), [(0.1, 4), (1.0, 4), (2.0, 4), (3.0, 4), (4.0, 8), (5.0, 8), (60.0, 120)]
)
def test_a_machine_that_is_gone_is_noticed_within_twice_the_silence(silence_s: float, within_s: int) -> None:
    """And four seconds at least: the first probe, then as many as may go unanswered, a step apart."""
    told = watch(silence_s)
    assert told["TCP_KEEPIDLE"] + told["TCP_KEEPINTVL"] * told["TCP_KEEPCNT"] == within_s
    assert within_s <= max(4, 2 * silence_s)


def test_the_socket_has_it() -> None:
    """As read back; a server that lives and reads nothing for a while is not taken for dead."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = Address("127.0.0.1", server.getsockname()[1], silence_s=4.0)
        with dial(address, Deadline.after(5)) as client:
            assert client.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            for name, value in watch(4.0).items():
                assert client.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) == value
            assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 0
