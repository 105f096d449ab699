"""Time and names under the test's control."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch


class Clock:
    """Seconds that pass when the test says so; stands for `time.time` and `time.monotonic`."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Return the moment."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass; negative seconds are a clock that was set back."""
        self.now += seconds


class Resolver:
    """A name service: `names` says where each host is; counts how often each was asked for."""

    def __init__(self, **names: tuple[str, int]) -> None:
        self.names = names
        """Host to address and port; the port replaces the one that was asked for, so that servers share a machine."""
        self.asked: list[str] = []
        self.unanswered = 0
        """How many of the next questions have no answer, which says nothing of the name."""
        self._moves: dict[str, tuple[int, tuple[str, int]]] = {}

    def move(self, host: str, to: tuple[str, int], *, after: int) -> None:
        """Let the host be elsewhere from the time on that it has been asked for so often."""
        self._moves[host] = (after, to)

    def _address(self, host: str) -> tuple[str, int]:
        after, there = self._moves.get(host, (0, self.names[host]))
        return there if self.asked.count(host) > after else self.names[host]

    @contextmanager
    def installed(self) -> Iterator["Resolver"]:
        """Answer for this process's look-ups of the names; all others go to the system."""
        system = socket.getaddrinfo

        def look_up(host: str, port: int, *rest: Any, **options: Any) -> Any:  # noqa: ANN401 - as the system's
            if host not in self.names:
                return system(host, port, *rest, **options)
            self.asked.append(host)
            if self.unanswered:
                self.unanswered -= 1
                raise socket.gaierror(socket.EAI_AGAIN, "no answer")
            return system(*self._address(host), *rest, **options)

        with patch.object(socket, "getaddrinfo", look_up):
            yield self
