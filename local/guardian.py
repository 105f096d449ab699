"""A process that clears up when its parent ends, however that ends: servers, environments, folders.

It is told on stdin what there is, one line each; the end of stdin is the end of the parent. It lives in a session of
its own, so that Ctrl-C does not reach it, and imports nothing but the standard library.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from local.processes import kill_session, process

ROOT = Path(__file__).parents[1]
PATIENCE_S = 10
"""Seconds that a server may take to stop before it is killed."""
GONE_FOR_GOOD = 15
"""Looks in a row, 20 ms apart, that must find no folder."""


class Guardian:
    """The parent's side: what is said here is undone when this process ends."""

    def __enter__(self) -> Self:
        """Start the process."""
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-m", "local.guardian"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            cwd=ROOT,
            start_new_session=True,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Have everything cleared up now, and wait for it."""
        with self._process:
            pass

    @property
    def pid(self) -> int:
        """The process that clears up."""
        return self._process.pid

    def folder(self, path: Path) -> None:
        """Remove this folder in the end."""
        self._say("+folder", path)

    def file(self, path: Path) -> None:
        """Remove this file in the end."""
        self._say("+file", path)

    def forget_file(self, path: Path) -> None:
        """Leave a file alone that is gone: the next one of its name is another's."""
        self._say("-file", path)

    def cluster(self, path: Path) -> None:
        """Stop the PostgreSQL server of this data directory in the end."""
        self._say("+cluster", path)

    def session(self, leader: int) -> None:
        """Kill the processes of this session in the end."""
        self._say("+session", leader)

    def forget_session(self, leader: int) -> None:
        """Leave a session alone that has ended: its number may be another's soon."""
        self._say("-session", leader)

    def _say(self, what: str, which: object) -> None:
        print(what, which, file=self._process.stdin, flush=True)


def watch(lines: Iterable[str]) -> None:
    """Remember what `lines` say, and clear up when they end: the last first."""
    remembered: dict[str, None] = {}
    for line in lines:
        sign, thing = line[0], line[1:].rstrip("\n")
        if sign == "+":
            remembered[thing] = None
        else:
            remembered.pop(thing, None)
    for thing in reversed(remembered):
        clear_up(*thing.split(" ", 1))


def clear_up(kind: str, which: str) -> None:
    """Undo one thing; what is gone already is no error."""
    if kind == "session":
        kill_session(int(which))
    elif kind == "cluster":
        stop_cluster(Path(which))
    elif kind == "file":
        Path(which).unlink(missing_ok=True)
    else:
        remove(Path(which))


def remove(folder: Path) -> None:
    """Remove a folder, again while somebody still writes there: initdb's own processes outlive it for a moment."""
    give_up_at = time.monotonic() + PATIENCE_S
    looks = 0
    while looks < GONE_FOR_GOOD and time.monotonic() < give_up_at:
        looks = 0 if folder.exists() else looks + 1
        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.02)


def stop_cluster(directory: Path) -> None:
    """Stop the server of this data directory at once, as `pg_ctl stop -m immediate` does."""
    with suppress(OSError, ValueError, IndexError):
        pid = int((directory / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal.SIGQUIT)
        give_up_at = time.monotonic() + PATIENCE_S
        while (found := process(pid)) and found.state != "Z" and time.monotonic() < give_up_at:
            time.sleep(0.02)


if __name__ == "__main__":
    watch(sys.stdin)
