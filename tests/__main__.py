"""`make test`: all tests, in two halves at once, since most of them wait most of the time.

The first half is seen while it runs, the second when both are done. With arguments pytest is run once, with those.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import BinaryIO

HALVES = (
    ("tests/unit", "tests/contract", "tests/integration", "tests/rotation", "tests/e2e"),
    ("tests/provision", "tests/faults"),
)
"""About as long as each other."""


def main(arguments: Sequence[str]) -> int:
    """Return 0 where every test has passed."""
    if arguments:
        return _pytest(arguments).wait()
    with tempfile.TemporaryFile() as said:
        seen, unseen = (_pytest(half, output) for half, output in zip(HALVES, (None, said), strict=True))
        try:
            codes = [seen.wait(), unseen.wait()]
        finally:
            for process in (seen, unseen):
                process.terminate()  # nothing where it has ended; after Ctrl-C both are ending already
                process.wait()
            said.seek(0)
            shutil.copyfileobj(said, sys.stdout.buffer)
    return max(codes)


def _pytest(arguments: Sequence[str], output: BinaryIO | None = None) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "pytest", *arguments], stdout=output, stderr=output)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
