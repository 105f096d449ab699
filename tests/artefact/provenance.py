"""A pytest plugin that fails a run which took any of the artefact's packages from elsewhere."""

import sys
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--artefact", type=Path)


def pytest_sessionfinish(session: pytest.Session) -> None:
    artefact: Path = session.config.getoption("--artefact")
    strangers = sorted(name for name in sys.modules if is_stranger(name, artefact))
    if strangers:
        print("not out of the artefact:", *strangers)  # noqa: T201 - what the test that ran this shows
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def is_stranger(name: str, artefact: Path) -> bool:
    """Say whether the module belongs to a package of the artefact and was loaded from another place."""
    top = name.partition(".")[0]
    origin = getattr(sys.modules[name], "__file__", None)
    carried = (artefact / top).is_dir() or any(artefact.glob(f"{top}.py*"))
    return carried and origin is not None and artefact not in Path(origin).parents
