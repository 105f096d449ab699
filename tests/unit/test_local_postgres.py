"""What a server of ours listens on."""

import errno
import socket

import pytest

from local.postgres import free_port


def test_a_port_is_kept_until_a_server_listens_on_it() -> None:
    """Seconds may pass until then; meanwhile nobody answers there, and the kernel gives the port to nobody else."""
    address = ("127.0.0.1", free_port())
    with socket.socket() as another, pytest.raises(OSError, match="in use") as refused:
        another.bind(address)
    assert refused.value.errno == errno.EADDRINUSE
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    with socket.create_server(address), socket.create_connection(address):
        pass
