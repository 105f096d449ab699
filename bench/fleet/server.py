"""The server that all environments share, and a watch on it: who is connected, and whether an administrator gets in."""

import secrets
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import psycopg

from bench.fleet.scenarios import Scenario
from local.postgres import PostgresServer

RESERVED = 3
"""Slots that only superusers get."""
WATCH_EVERY_S = 0.1
LOG_IN_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Seen:
    """The functions' connections at a moment."""

    at_s: float
    active: int
    idle: int


def start(directory: Path, scenario: Scenario) -> PostgresServer:
    """Start a server with the scenario's slots, which are its roles' limits, and some that they do not get."""
    slots = {
        "max_connections": str(scenario.slots + scenario.headroom + RESERVED),
        "superuser_reserved_connections": str(RESERVED),
    }
    server = PostgresServer(directory / "data", secrets.token_urlsafe(12), settings=slots)
    server.create()
    server.start()
    with psycopg.connect(server.url(), autocommit=True) as admin:
        for function, share in scenario.functions.items():
            limit = round(scenario.slots * share)
            admin.execute(
                f"create role {function} login password '{server.password}' connection limit {limit}".encode()
            )
    return server


@dataclass
class Watch:
    """Looks at the server as long as its block lasts. Uses one connection of its own, and each while one more."""

    server: PostgresServer
    roles: Sequence[str]
    began: float = 0.0
    seen: list[Seen] = field(default_factory=list)
    logins: Counter[str] = field(default_factory=Counter)
    """How often an administrator could log in, and how often not."""
    expects_outage: bool = False
    _stop: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Begin to watch."""
        self.began = time.monotonic()
        self._threads = [threading.Thread(target=self._watch), threading.Thread(target=self._log_in)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop watching."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                self._watch_while_connected()
            except psycopg.OperationalError:
                self._stop.wait(WATCH_EVERY_S)

    def _watch_while_connected(self) -> None:
        with psycopg.connect(self.server.url(), autocommit=True) as admin:
            while not self._stop.wait(WATCH_EVERY_S):
                states = Counter(
                    state
                    for (state,) in admin.execute(
                        "select state from pg_stat_activity where usename = any(%s)", [list(self.roles)]
                    )
                )
                idle = states.pop("idle", 0)
                self.seen.append(Seen(time.monotonic() - self.began, states.total(), idle))

    def _log_in(self) -> None:
        while not self._stop.wait(LOG_IN_EVERY_S):
            try:
                psycopg.connect(self.server.url(), connect_timeout=5).close()
                self.logins["let in"] += 1
            except psycopg.OperationalError as error:
                kind = "refused" if "slots" in str(error) or "too many" in str(error) else "server down"
                self.logins[kind] += 1


class Cpu:
    """CPU seconds of a server, restarts included, and of what is in front of it."""

    def __init__(self, server: PostgresServer, others: Sequence[int]) -> None:
        self._server, self._others = server, others
        self._before_s = self._now_s()

    def restart(self) -> None:
        """Restart the server without losing what it has used."""
        self._before_s -= _cpu_s(self._server.pid)
        self._server.restart()

    def used_s(self) -> float:
        """Return what was used since this was made."""
        return self._now_s() - self._before_s

    def _now_s(self) -> float:
        return _cpu_s(self._server.pid) + sum(_cpu_s(pid) for pid in self._others)


def _cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process, its living children and those it has buried."""
    own = _stat(pid)
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return sum(own[:4]) + sum(sum(_stat(int(child))[:2]) for child in children)


def _stat(pid: int) -> list[float]:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return [0.0] * 4
    return [int(ticks) / 100 for ticks in fields[11:15]]
