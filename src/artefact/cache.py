"""Keeps the libraries of the last build, so that the next function, or the next edit of our code, takes a second.

Knows what a build depends on, and nothing of how it is done.
"""

import hashlib
import os
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

ROOT_VARIABLE = "ARTEFACT_CACHE"
"""Where to keep it, in place of the user's cache directory."""


def directory() -> Path:
    """Return where builds are kept."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get(ROOT_VARIABLE) or Path(base, "slotwise", "artefact"))


def kept(make: Callable[[Path], None], depends_on: list[Path], *also: str) -> Path:
    """Return the directory that `make` fills; fill it where the files or words that it depends on have changed."""
    root = directory()
    found = root / _digest(depends_on, sys.version, *also)
    if not found.exists():
        root.mkdir(parents=True, exist_ok=True)
        scratch = Path(mkdtemp(dir=root))
        try:
            make(scratch)
            with suppress(OSError):  # somebody else was faster
                scratch.rename(found)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return found


def _digest(files: list[Path], *words: str) -> str:
    digest = hashlib.sha256("\0".join(words).encode())
    for path in sorted(files):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
