"""CI runs everything, or fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SKIPPED = {
    "by_a_mark": "import pytest\n@pytest.mark.skip(reason='no')\ndef test_one(): pass\n",
    "by_itself": "import pytest\ndef test_one(): pytest.skip('no')\n",
    "as_a_module": "import pytest\npytest.skip('no', allow_module_level=True)\n",
}
XFAIL = "import pytest\n@pytest.mark.xfail\ndef test_one(): assert False\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Tests that are skipped, each in another way, and one that is expected to fail."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    for name, source in {**SKIPPED, "expected": XFAIL}.items():
        (tmp_path / f"test_{name}.py").write_text(source)
    return tmp_path


def said(folder: Path, **variables: str) -> str:
    """Return what a pytest of its own says in the end."""
    options = ["-q", "-p", "tests.nothing_skipped", "-p", "no:cacheprovider", "--continue-on-collection-errors"]
    environment = {name: value for name, value in os.environ.items() if name != "CI"} | variables
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(folder)],
        cwd=ROOT,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    return done.stdout.splitlines()[-1]


def test_a_skip_fails_in_ci_whatever_way_it_is_skipped(folder: Path) -> None:
    """An expected failure is no skip: it has run."""
    assert said(folder, CI="1").startswith("1 failed, 1 xfailed, 2 errors in ")


def test_elsewhere_a_skip_is_a_skip(folder: Path) -> None:
    """On a machine that lacks something."""
    assert said(folder).startswith("3 skipped, 1 xfailed in ")
