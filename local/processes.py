"""Which processes belong together, as the kernel knows it. Linux only: reads /proc."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PATIENCE_S = 10
"""Seconds that the kernel may take to end what was killed."""


@dataclass(frozen=True, slots=True)
class Process:
    """What /proc/PID/stat says: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html ."""

    pid: int
    state: str
    """`R` running, `S` sleeping, `T` stopped, `Z` dead and not yet waited for."""
    group: int
    session: int


def process(pid: int) -> Process | None:
    """Return what is known of `pid`; None where there is no such process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, _, group, session, *_ = text.rpartition(")")[2].split()
    return Process(pid, state, int(group), int(session))


def in_session(leader: int) -> Iterator[Process]:
    """Yield the living processes of the session that `leader` has begun, itself included."""
    for entry in Path("/proc").iterdir():
        found = process(int(entry.name)) if entry.name.isdecimal() else None
        if found and found.session == leader and found.state != "Z":
            yield found


def kill_session(leader: int) -> None:
    """Kill the processes of a session, frozen ones too, and what they have begun meanwhile."""
    give_up_at = time.monotonic() + PATIENCE_S
    while (members := list(in_session(leader))) and time.monotonic() < give_up_at:
        for member in members:
            with suppress(ProcessLookupError):
                os.kill(member.pid, signal.SIGKILL)
        time.sleep(0.001)
