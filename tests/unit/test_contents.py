"""What an artefact holds."""

from pathlib import Path

import pytest

from artefact.contents import MissingModuleError, leave_out_unless_imported, require_everything
from artefact.install import not_provided


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An artefact with one library that has a part that few use, and our four packages."""
    for folder in ("sqlalchemy/dialects/mysql", "db", "handlers", "migrations", "records"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "sqlalchemy/dialects/mysql/__init__.py").touch()
    return tmp_path


def test_what_our_code_imports_by_name_stays(tree: Path) -> None:
    """A team that starts to use a part of a library finds it in the next artefact, without a list to keep."""
    leave_out_unless_imported(tree)
    assert not (tree / "sqlalchemy/dialects/mysql").exists()


@pytest.mark.parametrize(
    "statement", ["import sqlalchemy.dialects.mysql", "from sqlalchemy.dialects import mysql", "def f():\n  import {}"]
)
def test_what_nothing_imports_goes(tree: Path, statement: str) -> None:
    """However it is imported, at the top or in a function."""
    (tree / "records/table.py").write_text(statement.format("sqlalchemy.dialects.mysql"))
    leave_out_unless_imported(tree)
    assert (tree / "sqlalchemy/dialects/mysql").exists()


def test_a_missing_module_stops_the_build_and_is_named(tree: Path) -> None:
    """A pin that was forgotten is found on the builder's machine, not by the first client."""
    (tree / "handlers/records.py").write_text(
        "import json, boto3, sqlalchemy\ndef f():\n    from numpy.linalg import x\n"
    )
    with pytest.raises(MissingModuleError, match=r"handlers/records\.py imports numpy\.linalg"):
        require_everything(tree)


def test_what_the_runtime_has_is_not_installed() -> None:
    """Neither the pin nor its hashes; the lines around it stay."""
    pins = "a==1 \\\n    --hash=sha256:1\n    # via x\nbotocore==2 \\\n    --hash=sha256:2\n# note\nc==3\n"
    assert "".join(not_provided(pins)) == "a==1 \\\n    --hash=sha256:1\n    # via x\nc==3\n"
