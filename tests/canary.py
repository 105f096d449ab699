"""A canary: the whole suite runs with recognisable passwords and values, and what it wrote is searched for them.

Every password that the tests, and `make run` under test, make with `secrets.token_urlsafe` begins with PASSWORD; tests
that bind values of their own choice take VALUE. This says what the words are, and finds them in files and processes;
`searching.py` says where they may not be. Knows nothing of pytest.
"""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from string import ascii_lowercase

RUN = os.environ.setdefault("CANARY_RUN", "".join(secrets.choice(ascii_lowercase) for _ in range(8)))
"""Which run it is, children included: others write to /tmp beside it, and none takes another's words for its own.

It is letters, since some tests have the server read VALUE as SQL: names, and never a number.
"""
PASSWORD = f"canary-password-{RUN}"
VALUE = f"canary-value-{RUN}"
WORDS = (PASSWORD.encode(), VALUE.encode())

MAY_HOLD_PASSWORDS = frozenset({"users"})
"""The names of files in which a program that we test with, PgBouncer, wants them."""

_token = secrets.token_urlsafe


def _recognisable_token(nbytes: int | None = None) -> str:
    return f"{PASSWORD}-{_token(nbytes)}"


secrets.token_urlsafe = _recognisable_token  # now, since a class may keep the function when it is imported


def holds_a_word(content: bytes) -> bool:
    """Say whether a recognisable password or value is in `content`."""
    return any(word in content for word in WORDS)


def files_with_a_word(folder: Path, since: float = 0) -> Iterator[Path]:
    """Yield the files below `folder` that hold one; of a database's directory only its log is looked at.

    With `since`, in seconds of the epoch, files and folders are passed over to which nothing was added after it.
    """
    for path in _written(folder, since):
        if path.name not in MAY_HOLD_PASSWORDS and _holds_one(path):
            yield path


def _holds_one(path: Path) -> bool:
    """Read line by line: among others' files may be one that does not fit into memory."""
    try:
        with path.open("rb") as lines:
            return any(holds_a_word(line) for line in lines)
    except OSError:
        return False


def _written(folder: Path, since: float) -> Iterator[Path]:
    for directory, names, files in os.walk(folder):
        is_database = "PG_VERSION" in files
        names[:] = [name for name in names if not is_database and _changed(Path(directory, name)) >= since]
        for name in files:
            path = Path(directory, name)
            if path.is_file() and _changed(path) >= since and (not is_database or path.suffix == ".log"):
                yield path


def _changed(path: Path) -> float:
    """Return when, in seconds of the epoch; 0 for what is gone meanwhile."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0


def processes_with_a_word() -> Iterator[int]:
    """Yield this process and those that it has begun, directly or not, where the title of one holds a word."""
    parents = {int(entry.name): _parent(entry) for entry in Path("/proc").glob("[0-9]*")}
    for pid in parents:
        if _descends(pid, parents) and holds_a_word(_read(Path(f"/proc/{pid}/cmdline"))):
            yield pid


def _parent(entry: Path) -> int:
    """Return the parent of a process: the second field behind its name, which may hold anything."""
    behind = _read(entry / "stat").rpartition(b")")[2].split()
    return int(behind[1]) if behind else 0


def _descends(pid: int, parents: dict[int, int]) -> bool:
    while pid and pid != os.getpid():
        pid = parents.get(pid, 0)
    return bool(pid)


def _read(path: Path) -> bytes:
    """Return what is there; nothing where the process has ended meanwhile."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
