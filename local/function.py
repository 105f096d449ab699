"""A Lambda function: as many execution environments as there are events at once, up to its reserved concurrency."""

import json
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from local.environment import Configuration, ExecutionEnvironment, Invocation
from local.guardian import Guardian

REMEMBERED = 10_000
"""Invocations of which the outcome is kept."""
MAX_EVENT_BYTES = 6 * 1024 * 1024
"""Bytes of an event as JSON. Of an answer the emulator itself sees to it.

https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
"""


class ThrottledError(RuntimeError):
    """All environments that the function may have are busy, or it takes no more events."""


class EventTooLargeError(ValueError):
    """Lambda takes no event of this size."""


class LambdaFunction:
    """Hands events to environments: the one that was used last and is idle, or else a new one."""

    def __init__(
        self,
        configuration: Configuration,
        folder: Path,
        guardian: Guardian,
        on_invocation: Callable[[str, Invocation], None] = lambda _name, _invocation: None,
    ) -> None:
        self.configuration = configuration
        self.invocations: deque[Invocation] = deque(maxlen=REMEMBERED)
        self._folder = folder
        self._guardian = guardian
        self._on_invocation = on_invocation
        self._lock = threading.Lock()
        self._is_quiet = threading.Condition(self._lock)
        self._environments: set[ExecutionEnvironment] = set()
        self._idle: list[ExecutionEnvironment] = []
        self._busy = 0
        self._is_closed = False

    @property
    def idle(self) -> tuple[ExecutionEnvironment, ...]:
        """The environments that wait, frozen; the one that is next is the last."""
        with self._lock:
            return tuple(self._idle)

    @property
    def busy(self) -> int:
        """How many environments serve an event, or are being started for one."""
        with self._lock:
            return self._busy

    def invoke(self, event: Any) -> Invocation:  # noqa: ANN401 - any JSON
        """Invoke synchronously; raise ThrottledError where the concurrency is used up, EventTooLargeError over 6 MB."""
        content = json.dumps(event).encode()
        if len(content) > MAX_EVENT_BYTES:
            raise EventTooLargeError(f"the event has {len(content)} bytes, and Lambda takes {MAX_EVENT_BYTES}")
        environment = self._take()
        try:
            environment = environment or self._launch()
            invocation = environment.invoke(content)
        finally:
            self._give_back(environment)
        self.invocations.append(invocation)
        self._on_invocation(self.configuration.name, invocation)
        return invocation

    def _take(self) -> ExecutionEnvironment | None:
        """Return an idle environment, or None where one more may be started."""
        with self._lock:
            self._refuse_when_closed()
            if not self._idle and self._busy >= self.configuration.concurrency:
                raise ThrottledError(
                    f"{self.configuration.name} has all its {self.configuration.concurrency} environments busy"
                )
            self._busy += 1
            return self._idle.pop() if self._idle else None

    def _refuse_when_closed(self) -> None:
        if self._is_closed:
            raise ThrottledError(f"{self.configuration.name} takes no more events")

    def _launch(self) -> ExecutionEnvironment:
        """Start an environment; one that comes up only when everything ends, ends with it."""
        environment = ExecutionEnvironment(self.configuration, self._folder, self._guardian)
        try:
            with self._lock:
                self._refuse_when_closed()
                self._environments.add(environment)
        except ThrottledError:
            environment.stop()
            raise
        return environment

    def _give_back(self, environment: ExecutionEnvironment | None) -> None:
        if environment and not environment.is_usable:
            environment.stop()
        with self._lock:
            self._busy -= 1
            if environment and environment.is_usable:
                self._idle.append(environment)
            elif environment:
                self._environments.discard(environment)
            self._is_quiet.notify_all()

    def stop(self) -> None:
        """End all environments, those that serve an event as well, and wait until nobody waits for them."""
        with self._lock:
            self._is_closed = True
            stopped, self._environments = self._environments, set()
            self._idle = []
        if stopped:
            with ThreadPoolExecutor(len(stopped)) as threads:
                list(threads.map(ExecutionEnvironment.stop, stopped))
        with self._lock:
            self._is_quiet.wait_for(lambda: not self._busy)

    def __enter__(self) -> Self:
        """Serve; nothing is started before the first event."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all environments."""
        self.stop()
