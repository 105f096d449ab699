"""`make test` runs all that pytest would."""

import subprocess
import sys
import tomllib

import pytest

import tests.__main__ as whole
from tests.__main__ import PARTS
from tests.contract.stack import ROOT


def test_the_parts_are_the_whole() -> None:
    """No folder is in neither part, and none in both."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["testpaths"]
    assert sorted(folder for part in PARTS for folder in part) == sorted(declared)


@pytest.mark.parametrize(("codes", "code"), [((0, 0), 0), ((0, 1), 1), ((0, -9), 9)])
def test_no_part_fails_unnoticed(monkeypatch: pytest.MonkeyPatch, codes: tuple[int, ...], code: int) -> None:
    """Neither a part with a failed test nor one that was killed is green."""

    def ended(part: tuple[str, ...], _output: object) -> subprocess.Popen[bytes]:
        how = codes[PARTS.index(part) % len(codes)]
        kill = f"import os, signal; os.kill(os.getpid(), {-how})" if how < 0 else f"raise SystemExit({how})"
        return subprocess.Popen([sys.executable, "-c", kill])

    monkeypatch.setattr(whole, "_pytest", ended)
    assert whole.main([]) == code
