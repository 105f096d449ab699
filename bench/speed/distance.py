"""A network of a given length between client and server: a process that passes everything on a little later.

`python -m bench.speed.distance SERVER_PORT SECONDS` prints its port. It does what a longer wire does as long as one
side waits for the other, which is what a database client does.
"""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

CHUNK = 65536


@contextmanager
def distance(server_port: int, one_way_s: float) -> Iterator[int]:
    """Yield a port that leads to `server_port`, and back, `one_way_s` seconds later each way."""
    command = [sys.executable, "-m", "bench.speed.distance", str(server_port), str(one_way_s)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield int(process.stdout.readline() if process.stdout else "0")
        finally:
            process.kill()


def _carry(source: socket.socket, sink: socket.socket, one_way_s: float) -> None:
    try:
        while chunk := source.recv(CHUNK):
            time.sleep(one_way_s)
            sink.sendall(chunk)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        sink.close()


def _serve(server_port: int, one_way_s: float) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            client, _ = listener.accept()
            server = socket.create_connection(("127.0.0.1", server_port))
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=_carry, args=(source, sink, one_way_s), daemon=True).start()


if __name__ == "__main__":
    _serve(int(sys.argv[1]), float(sys.argv[2]))
