"""The proxy itself, against an echo: what it passes, what it breaks, and that it counts exactly."""

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.proxy import Action, Direction, Fault, Proxy, Traffic
from tests.faults.tls import SSL_REQUEST, Authority, TlsFront


def echo(listener: socket.socket) -> None:
    """Answer each line with itself."""

    def serve(client: socket.socket) -> None:
        with client, client.makefile("rwb") as file:
            for line in file:
                file.write(line)
                file.flush()

    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_quietly, args=(serve, client), daemon=True).start()


def _quietly(serve: object, client: socket.socket) -> None:
    try:
        serve(client)  # type: ignore[operator]  # the function above
    except OSError:
        return


@pytest.fixture
def echo_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=echo, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(echo_port: int) -> Iterator[Proxy]:
    with Proxy(echo_port) as proxy:
        yield proxy


def dial(proxy: Proxy) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", proxy.port), timeout=5)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def ask(client: socket.socket, text: bytes) -> bytes:
    client.sendall(text)
    return receive(client, len(text))


def receive(client: socket.socket, count: int) -> bytes:
    received = b""
    while len(received) < count and (piece := client.recv(count - len(received))):
        received += piece
    return received


def wait_until(holds: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < give_up_at
        time.sleep(0.005)


def test_bytes_pass_unchanged_and_are_counted(proxy: Proxy) -> None:
    """Without a fault the proxy is not there, but for the count."""
    with dial(proxy) as client:
        assert ask(client, b"one\n") == b"one\n"
        assert proxy.traffic() == Traffic(flights=1, bursts=1, to_server=4, to_client=4, connections=1)


def test_a_flight_is_a_burst_that_was_answered(proxy: Proxy) -> None:
    """Pieces sent without waiting are one flight; what nobody answers is a burst and no flight."""
    with dial(proxy) as client:
        for letter in (b"p", b"i", b"e", b"c", b"e", b"\n"):
            client.sendall(letter)
        receive(client, 6)
        ask(client, b"again\n")
        proxy.inject(Fault(Action.STOP))
        client.sendall(b"goodbye\n")
        wait_until(lambda: proxy.traffic().to_server == 20)
    traffic = proxy.traffic()
    assert (traffic.flights, traffic.bursts) == (2, 3)


def test_a_burst_of_many_chunks_is_one_flight(proxy: Proxy) -> None:
    """What the server answers before the client has sent all is still the same round trip."""
    lines = b"x" * 99 + b"\n"
    with dial(proxy) as client:
        ask(client, lines * 2000)
    assert proxy.traffic().flights == 1


@pytest.mark.parametrize("after_bytes", [0, 1, 3])
def test_a_reply_can_be_cut_at_any_byte(proxy: Proxy, after_bytes: int) -> None:
    """Exactly so many bytes arrive, and then a reset."""
    proxy.faults = lambda _number: [Fault(Action.RESET, after_bytes=after_bytes)]
    with dial(proxy) as client:
        client.sendall(b"one\n")
        received = b""
        with pytest.raises(ConnectionResetError):
            while piece := client.recv(1):
                received += piece
    assert len(received) <= after_bytes  # a reset may overtake what was not read yet
    assert proxy.traffic().to_client == after_bytes


def test_a_request_can_be_cut_at_any_byte(proxy: Proxy) -> None:
    """The server gets so many bytes and no more."""
    proxy.faults = lambda _number: [Fault(Action.CLOSE, Direction.TO_SERVER, after_bytes=2)]
    with dial(proxy) as client:
        client.sendall(b"one\n")
        assert client.recv(10) == b""
    assert proxy.traffic().to_server == 2


def test_a_fault_can_wait_for_what_the_client_says(proxy: Proxy) -> None:
    """`once_sent` arms the fault when those bytes have gone to the server, also when they come in two pieces."""
    with dial(proxy) as client:
        ask(client, b"commit\n")
        proxy.inject(Fault(Action.CLOSE, once_sent=b"commit"))
        assert ask(client, b"one\n") == b"one\n"
        client.sendall(b"com")
        client.sendall(b"mit\n")
        assert client.recv(10) == b""
    assert proxy.traffic().to_server == 18


def test_a_stopped_direction_keeps_both_sockets_open(proxy: Proxy) -> None:
    """The reply ends in its middle and nobody hears why."""
    proxy.faults = lambda _number: [Fault(Action.STOP, after_bytes=2)]
    with dial(proxy) as client:
        client.sendall(b"one\n")
        assert receive(client, 2) == b"on"
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(1)


def test_a_swallowed_link_is_half_open(proxy: Proxy) -> None:
    """Sending works, nothing comes back, and a reset of one end does not reach the other."""
    with dial(proxy) as client:
        ask(client, b"one\n")
        proxy.end(Action.SWALLOW)
        client.settimeout(0.2)
        client.sendall(b"two\n")
        with pytest.raises(TimeoutError):
            client.recv(1)
    assert proxy.live()


def test_a_trickle_comes_one_byte_at_a_time(proxy: Proxy) -> None:
    """Each byte is late, and all arrive."""
    proxy.faults = lambda _number: [Fault(Action.TRICKLE, seconds=0.05)]
    with dial(proxy) as client:
        began = time.monotonic()
        assert ask(client, b"one\n") == b"one\n"
    assert time.monotonic() - began >= 0.15


def test_a_delayed_reply_comes_whole(proxy: Proxy) -> None:
    """Latency is added to the direction that was asked for."""
    proxy.faults = lambda _number: [Fault(Action.DELAY, seconds=0.1)]
    with dial(proxy) as client:
        began = time.monotonic()
        assert ask(client, b"one\n") == b"one\n"
    assert time.monotonic() - began >= 0.1


def test_everybody_connected_can_be_reset_at_once(proxy: Proxy) -> None:
    """`end` returns when it has happened: the client's next read fails."""
    with dial(proxy) as first, dial(proxy) as second:
        ask(first, b"one\n")
        ask(second, b"two\n")
        proxy.end()
        for client in (first, second):
            with pytest.raises(ConnectionResetError):
                client.recv(1)
    assert not proxy.live()


def test_each_connection_has_a_plan_of_its_own(proxy: Proxy) -> None:
    """The second is cut, the first and the third are not."""
    proxy.faults = lambda number: [Fault(Action.CLOSE)] if number == 2 else []
    answers = []
    for _ in range(3):
        with dial(proxy) as client:
            answers.append(ask(client, b"one\n"))
    assert answers == [b"one\n", b"", b"one\n"]


def test_a_refusing_proxy_is_no_longer_there(proxy: Proxy) -> None:
    """A new connection is refused by the operating system."""
    proxy.refuse()
    with pytest.raises(ConnectionRefusedError):
        dial(proxy)


def test_the_upstream_can_be_moved(proxy: Proxy) -> None:
    """The next connection goes to the new one; where nobody is there it ends at once."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        proxy.upstream_port = gone.getsockname()[1]
    with dial(proxy) as client:
        assert client.recv(1) == b""


def test_a_client_that_lets_the_kernel_wait_is_counted_alike(proxy: Proxy) -> None:
    """Without TCP_NODELAY small pieces wait for an acknowledgement, sometimes: the proxy gives it at once."""
    with dial(proxy) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
        for _ in range(20):
            for piece in (b"a", b"b", b"c\n"):
                client.sendall(piece)
            receive(client, 4)
    assert proxy.traffic().flights == 20


def test_tls_is_terminated_and_its_handshake_counted(echo_port: int, tmp_path: Path) -> None:
    """A client that verifies talks to a server without TLS: request, handshake and line are a flight each."""
    authority = Authority(tmp_path)
    context = ssl.create_default_context(cafile=str(authority.file))
    with TlsFront(echo_port, authority.certificate("localhost")) as front, Proxy(front.port) as proxy:
        with dial(proxy) as client:
            client.sendall(SSL_REQUEST)
            assert client.recv(1) == b"S"
            with context.wrap_socket(client, server_hostname="localhost") as secure:
                assert ask(secure, b"one\n") == b"one\n"
        assert proxy.traffic().flights == 3
