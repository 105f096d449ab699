"""What an environment does: the child's side of `environment.py`. `python -m tests.faults.workload CHANNEL_FD`."""

import json
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from db import Database, DatabaseSettings
from db.environment import lifecycle
from db.environment.process import LambdaProcess, lambda_process

INCREMENT = text("update counters set value = value + 1 where name = :name returning value")


def increment(database: Database, name: str) -> int:
    """Add one in a transaction."""
    with database.transaction() as connection:
        value: int = connection.scalar(INCREMENT, {"name": name})
    return value


def backend(database: Database) -> int:
    """Say which backend serves."""
    with database.autocommit() as connection:
        pid: int = connection.scalar(text("select pg_backend_pid()"))
    return pid


def name(database: Database) -> str:
    """Say what the server calls this environment."""
    with database.autocommit() as connection:
        called: str = connection.scalar(text("select current_setting('application_name')"))
    return called


def hold(database: Database, name: str, seconds: float) -> int:
    """Lock a row in a transaction, and be busy with other things."""
    with database.transaction() as connection:
        value: int = connection.scalar(INCREMENT, {"name": name})
        time.sleep(seconds)
    return value


def hold_until(database: Database, name: str, file: str) -> int:
    """Lock a row in a transaction until there is the file."""
    with database.transaction() as connection:
        value: int = connection.scalar(INCREMENT, {"name": name})
        while not Path(file).exists():
            time.sleep(0.01)
    return value


def read_on(database: Database, name: str) -> int:
    """Lock a row in a transaction, and read rows for as long as that goes."""
    with database.transaction() as connection:
        connection.execute(INCREMENT, {"name": name})
        return len(connection.execute(text("select repeat('x', 1000), generate_series(1, 20000000)")).all())


def count_up(database: Database, worker: int, number: int) -> str:
    """Note the operation and count it twice, for the worker and for all, in one transaction; say what is told of it."""

    def work(connection: Connection) -> None:
        connection.execute(
            text("insert into torture_ledger values (:worker, :number)"), {"worker": worker, "number": number}
        )
        count = text("update torture_counters set value = value + 1 where worker = :worker")
        connection.execute(count, {"worker": worker})
        connection.execute(count, {"worker": -1})

    try:
        database.run_transaction(work)
    except Exception as error:  # noqa: BLE001 - whatever it is, the judge wants to know
        return type(error).__name__
    return "acknowledged"


def sleep(database: Database, seconds: float) -> None:
    """Let the server work for so long."""
    with database.transaction() as connection:
        connection.execute(text("select pg_sleep(:seconds)"), {"seconds": seconds})


def fail(_database: Database) -> None:
    """Do what handlers sometimes do."""
    raise ValueError("as asked")


def before_snapshot(database: Database) -> None:
    """Run the hook."""
    lifecycle.Lifecycle(database, LambdaProcess()).before_snapshot()


def after_restore(database: Database) -> float:
    """Run the hook; return a number that only this clone should draw. It has more time than a busy machine needs."""
    lifecycle.PREPARE_TIMEOUT_S = 60.0
    lifecycle.Lifecycle(database, LambdaProcess()).after_restore()
    return random.random()  # noqa: S311 - the generator that clones would share is the point


def await_the_end(database: Database, flushed: str, flush_s: float = 0) -> None:
    """Have Lambda say when the environment ends; then there is something to flush, to the file `flushed`.

    It has ten times the time that Lambda gives: a busy machine takes as much from it as from a tenth.
    """
    lifecycle.SHUTDOWN_TIMEOUT_S *= 10

    def flush() -> None:
        time.sleep(flush_s)
        Path(flushed).touch()

    lifecycle.Lifecycle(database, lambda_process(), at_end=flush).begin()


ALL = (
    *(sleep, read_on, count_up, increment, backend, name, hold, hold_until, fail),
    *(before_snapshot, after_restore, await_the_end),
)
WORK: dict[str, Callable[..., Any]] = {work.__name__: work for work in ALL}


def serve(database: Database, channel: socket.socket) -> None:
    """Answer one invocation after another until the channel closes."""
    lines = channel.makefile("r")
    while line := lines.readline():
        order = json.loads(line)
        if order["work"] == "clone":
            channel = _clone(channel)
            lines = channel.makefile("r")
        else:
            _say(channel, _outcome(database, order))


def _outcome(database: Database, order: dict[str, Any]) -> dict[str, Any]:
    try:
        with database.invocation(order["remaining_ms"]):
            return {"result": WORK[order["work"]](database, **order["arguments"])}
    except Exception as error:  # noqa: BLE001 - the runtime reports whatever a handler raises
        return {"error": type(error).__name__, "text": str(error)}


def _say(channel: socket.socket, answer: dict[str, Any]) -> None:
    channel.sendall(json.dumps(answer).encode() + b"\n")


def _clone(channel: socket.socket) -> socket.socket:
    """Fork; the clone goes on with a channel of its own, and with its parent's chance: a fork alone would reseed."""
    chance = random.getstate()
    _say(channel, {"result": "ready"})
    _, (descriptor, *_), _, _ = socket.recv_fds(channel, 1, 1)
    own = socket.socket(fileno=descriptor)
    if os.fork():
        own.close()
        _say(channel, {"result": "cloned"})
        return channel
    channel.close()
    random.setstate(chance)
    _say(own, {"result": os.getpid()})
    return own


def main() -> None:
    """Build the database as handlers/environment.py does, and serve."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # clones that are killed leave nothing behind
    serve(Database(DatabaseSettings.from_env()), socket.socket(fileno=int(sys.argv[1])))


if __name__ == "__main__":
    main()
