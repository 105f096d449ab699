"""`python -m local` as a process of its own, and what it has left."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

from tests.canary import holds_a_word

ROOT = Path(__file__).parents[2]
HEARD = MappingProxyType({"PYTHONPATH": f"{Path(__file__).parent / 'heard'}{os.pathsep}{ROOT}"})
"""With these variables a Python process has recognisable passwords, and tells of them: see sitecustomize.py there."""
LIBC = ctypes.CDLL(None)


class Running:
    """`python -m local` with a folder for temporary files of its own, which tells what it has left."""

    def __init__(self, folder: Path, *arguments: str, before: tuple[str, ...] = (), **variables: str) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [*before, sys.executable, "-m", "local", *arguments],
            cwd=ROOT,
            env={**os.environ, **HEARD, "TMPDIR": str(folder), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def output(self) -> tuple[str, str]:
        return self.process.communicate(timeout=100)

    def wait_until_it_says(self, what: str) -> None:
        while what not in (line := self._line()):
            assert line, f"ended: {self.output()}"

    def _line(self) -> str:
        """Return what it says next; output() will not have it again."""
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert not holds_a_word(line.encode()), "a password or a bound value"
        return line

    def interrupt_another_thread(self) -> None:
        """Send SIGINT to the process by a thread that is not its main one, as the kernel is free to."""
        pid = self.process.pid
        threads = {int(thread.name) for thread in Path(f"/proc/{pid}/task").iterdir()} - {pid}
        assert any(LIBC.tgkill(pid, thread, signal.SIGINT) == 0 for thread in threads), "each has ended meanwhile"

    def left(self) -> list[str]:
        """Return what still runs or lies in the folder; waits for what is just ending."""
        give_up_at = time.monotonic() + 30
        while (found := self._left()) and time.monotonic() < give_up_at:
            time.sleep(0.05)
        return found

    def _left(self) -> list[str]:
        return [path.name for path in self.folder.iterdir()] + [*_using(self.folder)]


def _using(folder: Path) -> Iterator[str]:
    """Yield the command lines of processes that have the folder in their arguments or among their open files."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().decode(errors="replace")
            names = [command, *(str(file.readlink()) for file in (entry / "fd").iterdir())]
        except OSError:
            continue
        if any(str(folder) in name for name in names) and int(entry.name) != os.getpid():
            yield command.replace("\0", " ")
