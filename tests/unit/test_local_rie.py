"""The emulator's program: fetched once, and never another one."""

import hashlib
from pathlib import Path

import pytest

from local import rie


def test_a_program_of_another_hash_is_refused(tmp_path: Path) -> None:
    """It is not even written."""
    with pytest.raises(rie.EmulatorError, match="is not the one that was checked"):
        rie._install(b"another", "x86_64", tmp_path / "program")
    assert list(tmp_path.iterdir()) == []


def test_the_program_is_not_fetched_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is in the cache is used, without network."""
    content = b"program"
    fetched: list[str] = []

    def fetch(architecture: str) -> bytes:
        fetched.append(architecture)
        return content

    monkeypatch.setattr(rie, "SHA256", dict.fromkeys(rie.SHA256, hashlib.sha256(content).hexdigest()))
    monkeypatch.setattr(rie, "_fetch", fetch)
    first, second = rie.rie_program(tmp_path), rie.rie_program(tmp_path)
    assert first == second
    assert first.read_bytes() == content
    assert len(fetched) == 1


@pytest.mark.parametrize(("machine", "expected"), [("amd64", "x86_64"), ("aarch64", "arm64"), ("x86_64", "x86_64")])
def test_the_architecture_is_lambdas_name(machine: str, expected: str) -> None:
    """Uname has others."""
    assert rie._architecture(machine) == expected


def test_another_machine_is_refused() -> None:
    """AWS builds it for two architectures."""
    with pytest.raises(rie.EmulatorError, match="runs on x86_64 and arm64, not on riscv64"):
        rie._architecture("riscv64")
