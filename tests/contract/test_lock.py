"""One lock: what is tested is what is deployed, every file of it known by its hash, and no address in it."""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.stack import ROOT

PASSING = ("__pycache__", "pytest-cache-files-")
"""Folders that come and go while tests run."""
TEXT = {".py", ".md", ".toml", ".yaml", ".json", ".txt", ""}
LOCKS = (
    "requirements/dev.txt",
    "requirements/sam.txt",
    "requirements/checkov.txt",
    "requirements/security.txt",
    "src/requirements.txt",
)
REQUIREMENT = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(\[.*\])?==(?P<version>\S+)", re.MULTILINE)


def _entries(lock: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Return version and hashes by name."""
    text = (ROOT / lock).read_text()
    found = [*REQUIREMENT.finditer(text)]
    ends = [match.start() for match in found[1:]] + [len(text)]
    return {
        match["name"]: (match["version"], frozenset(re.findall(r"--hash=(sha256:\S+)", text[match.start() : end])))
        for match, end in zip(found, ends, strict=True)
    }


@pytest.mark.parametrize("lock", LOCKS)
def test_every_file_is_known_by_its_hash(lock: str) -> None:
    """Nobody between the index and us can slip in another one."""
    entries = _entries(lock)
    assert entries
    assert all(hashes for _, hashes in entries.values())


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_index(lock: str) -> None:
    """Whoever installs decides from where: a mirror, a proxy, the public index."""
    text = (ROOT / lock).read_text()
    assert not re.search(r"://|--index|--find-links|--trusted-host| @ ", text)


def test_what_is_deployed_is_what_is_tested() -> None:
    """The functions' packages are a part of the developers' lock: same versions, same hashes."""
    deployed, tested = _entries("src/requirements.txt"), _entries("requirements/dev.txt")
    assert deployed.items() <= tested.items()


def test_pyproject_pins_what_the_locks_have() -> None:
    """A version that was changed in one place only is noticed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    for lock, wanted in (
        ("requirements/dev.txt", [*project["project"]["dependencies"], *groups["dev"], *groups["bench"]]),
        ("src/requirements.txt", project["project"]["dependencies"]),
        ("requirements/sam.txt", (ROOT / "requirements/sam.in").read_text().split()),
        ("requirements/checkov.txt", (ROOT / "requirements/checkov.in").read_text().split()),
        ("requirements/security.txt", (ROOT / "requirements/security.in").read_text().split()),
    ):
        entries = _entries(lock)
        for requirement in wanted:
            match = REQUIREMENT.match(requirement)
            assert match, f"{requirement} is not pinned"
            assert entries[match["name"].lower()][0] == match["version"], f"run `make lock`: {requirement}"


def test_the_sdk_is_the_runtimes() -> None:
    """boto3 is imported from Lambda's runtime, so it is not among what we ship."""
    assert "boto3" not in _entries("src/requirements.txt")


def test_the_tree_names_no_machine() -> None:
    """What is committed works anywhere: no path of somebody's machine is in it."""
    machine = re.compile(r"/(root|home/[a-z]\w*|Users/\w+)/")
    for path in _committed():
        assert not machine.search(path.read_text(errors="replace")), path


def _committed(folder: Path = ROOT) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name.startswith(PASSING) or (path.name.startswith(".") and path.name != ".ci"):
            continue
        if path.is_dir():
            yield from _committed(path)
        elif path.suffix in TEXT and path != Path(__file__):
            yield path
