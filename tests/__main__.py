"""`make test`: the tests, in a few parts at once, since most of them wait most of the time.

The first part is seen while it runs, the others when all are done. With arguments pytest is run once, with those.
"""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from typing import BinaryIO

PARTS = (
    ("tests/faults",),
    ("tests/integration", "tests/provision"),
    ("tests/rotation", "tests/functions"),
    ("tests/unit", "tests/contract", "tests/e2e"),
)
"""Each about as long as the others."""


def main(arguments: Sequence[str]) -> int:
    """Return 0 where every test has passed."""
    if arguments:
        return _pytest(arguments).wait()
    with ExitStack() as stack:
        unseen = [stack.enter_context(tempfile.TemporaryFile()) for _ in PARTS[1:]]
        running = [_pytest(part, output) for part, output in zip(PARTS, (None, *unseen), strict=True)]
        try:
            codes = [process.wait() for process in running]
        finally:
            for process in running:
                process.terminate()  # nothing where it has ended; after Ctrl-C all are ending already
                process.wait()
            for said in unseen:
                said.seek(0)
                shutil.copyfileobj(said, sys.stdout.buffer)
    return max(map(abs, codes))  # a negative one is the signal that ended the part


def _pytest(arguments: Sequence[str], output: BinaryIO | None = None) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "pytest", *arguments], stdout=output, stderr=output)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
