"""CI runs everything, or fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SKIPPED = {
    "by a mark": "import pytest\n@pytest.mark.skip(reason='no')\ndef test_one(): pass\n",
    "by itself": "import pytest\ndef test_one(): pytest.skip('no')\n",
    "as a module": "import pytest\npytest.skip('no', allow_module_level=True)\n",
}
XFAIL = "import pytest\n@pytest.mark.xfail\ndef test_one(): assert False\n"


def status(folder: Path, source: str, **variables: str) -> int:
    """Return the exit status of a pytest of its own."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_it.py").write_text(source)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "tests.nothing_skipped",
        "-p",
        "no:cacheprovider",
        str(folder),
    ]
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    done = subprocess.run(command, cwd=ROOT, env={**environment, **variables}, check=False, capture_output=True)
    return done.returncode


@pytest.mark.parametrize("source", SKIPPED.values(), ids=SKIPPED.keys())
def test_a_skip_fails_in_ci_only(tmp_path: Path, source: str) -> None:
    """Whatever way it is skipped."""
    assert status(tmp_path, source, CI="1") not in {0, 5}
    assert status(tmp_path, source) in {0, 5}  # 5: nothing was run


def test_an_expected_failure_is_no_skip(tmp_path: Path) -> None:
    """It has run."""
    assert status(tmp_path, XFAIL, CI="1") == 0


def test_a_python_that_is_missing_fails_in_ci_only() -> None:
    """`make versions` tests with the Pythons that are there; in CI all have to be."""
    environment = {name: value for name, value in os.environ.items() if name not in {"CI", "MAKEFLAGS", "MAKELEVEL"}}
    for variables, is_well in (({}, True), ({"CI": "1"}, False)):
        command = ["make", "--silent", ".venv-9.9/.tested"]
        done = subprocess.run(
            command, cwd=ROOT, env=environment | variables, check=False, capture_output=True, text=True
        )
        assert "no Python 9.9 here" in done.stdout
        assert (done.returncode == 0) is is_well


def test_ci_says_that_it_is_ci() -> None:
    """To the tests and to make."""
    assert "\nexport CI=1\n" in (ROOT / ".ci" / "run").read_text()
