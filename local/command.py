"""`python -m local`: starts everything, shows the sample events with their answers, serves until Ctrl-C."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rich.console import Console

from db.variables import MAX_PORT
from local.binaries import PostgresNotFoundError
from local.cloudformation import ResourceFailedError
from local.complaints import complaints_of, went_wrong
from local.containers import open_to_containers
from local.environment import EnvironmentStartError, Invocation
from local.postgres import PostgresStartError
from local.report import body_of, line_of, status_of, table_of
from local.rie import EmulatorError
from local.samples import Sample, samples
from local.serving import PortTakenError
from local.stack import Stack, running

SAM_ENVIRONMENT = Path(".cache/sam-env.json")
REFUSALS = (
    EmulatorError,
    EnvironmentStartError,
    PortTakenError,
    PostgresNotFoundError,
    PostgresStartError,
    ResourceFailedError,
)
"""What can be wrong with the machine; each says it in a sentence."""
HEARD_WITHIN_S = 0.2
"""Seconds until Ctrl-C is heard that the kernel gives to another thread: nothing wakes the main one then."""
INTERRUPTED = 130
WIDTH_OF_A_FILE = 200
"""Columns where stdout is no terminal."""


class Command:
    """The command, speaking to `console`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._is_serving = False

    def run(self, port: int, bridge: str | None = None, *, once: bool) -> int:
        """Return the exit status: 0 where each sample was answered as its index says."""
        with running(port, self._step, self._show) as stack, self._last_word():
            as_expected = self._show_samples(stack)
            if once:
                return 0 if as_expected else 1
            with open_to_containers(stack, SAM_ENVIRONMENT, bridge):
                self._serve(stack)
        return 0

    @contextmanager
    def _last_word(self) -> Iterator[None]:
        """Say that everything ends now: with many environments it takes more than a second."""
        try:
            yield
        finally:
            self._console.print("ending", highlight=False)

    @contextmanager
    def _step(self, what: str) -> Iterator[None]:
        """Show what is being done, and then how long it took."""
        started = time.monotonic()
        with self._console.status(f"starting {what}"):
            yield
        self._console.print(f"{what}: {time.monotonic() - started:.1f} s", highlight=False)

    def _show_samples(self, stack: Stack) -> bool:
        with self._console.status("invoking the sample events"):
            results = [(sample, _invoke(stack, sample)) for sample in samples()]
        self._console.print(table_of(results, self._console.width))
        others = [(sample, invocation) for sample, invocation in results if status_of(invocation) != sample.status]
        for sample, invocation in others:
            self._complain(sample.name, *(complaints_of(invocation) or [body_of(invocation)]))
        return not others

    def _serve(self, stack: Stack) -> None:
        try:
            self._is_serving = True
            self._console.print(f"\nserving on {stack.url}: curl {stack.url}/health, a browser at {stack.url}/docs")
            self._console.print("Ctrl-C ends everything", highlight=False)
            while True:
                time.sleep(HEARD_WITHIN_S)
        finally:
            self._is_serving = False

    def _show(self, name: str, invocation: Invocation) -> None:
        """Show a request that was served; the samples have their table."""
        if self._is_serving:
            self._console.print(line_of(name, invocation), highlight=False, soft_wrap=True)
            if went_wrong(invocation):
                self._complain(*complaints_of(invocation))

    def _complain(self, *lines: str) -> None:
        for line in lines:
            self._console.print(f"  {line}", style="red", markup=False, highlight=False, soft_wrap=True)


def _invoke(stack: Stack, sample: Sample) -> Invocation:
    return stack.function_of(sample.module).invoke(sample.event)


def _port(text: str) -> int:
    """Return a port's number; 0 is any that is free."""
    if not text.isdecimal() or int(text) > MAX_PORT:
        raise argparse.ArgumentTypeError(f"a port is a number from 0 to {MAX_PORT}, not {text!r}")
    return int(text)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end after the sample events")
    port = os.environ.get("PORT", "3000")
    parser.add_argument("--port", type=_port, default=port, help="where the gateway listens (PORT, 3000)")
    parser.add_argument("--bridge", metavar="ADDRESS", help="let sam local's containers in by this address of Docker's")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)  # a shell lets what it starts in the background ignore it
    try:
        return Command(Console(width=None if sys.stdout.isatty() else WIDTH_OF_A_FILE)).run(
            given.port, given.bridge, once=given.once
        )
    except REFUSALS as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED if given.once else 0
