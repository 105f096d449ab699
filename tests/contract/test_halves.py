"""`make test` runs all that pytest would."""

import tomllib

from tests.__main__ import HALVES
from tests.contract.stack import ROOT


def test_the_halves_are_the_whole() -> None:
    """No folder is in neither half, and none in both."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["testpaths"]
    assert sorted(folder for half in HALVES for folder in half) == sorted(declared)
