"""What an artefact holds."""

from pathlib import Path

import pytest

from artefact.contents import OURS, MissingModuleError, leave_out_unless_imported, require_everything
from artefact.install import not_provided

LIBRARY = {
    "sqlalchemy/__init__.py": "",
    "sqlalchemy/dialects/__init__.py": "def load(name):\n    from sqlalchemy.dialects import mysql, oracle",
    "sqlalchemy/dialects/mysql/__init__.py": "",
    "sqlalchemy/dialects/oracle/__init__.py": "def connect():\n    from ..mysql import types",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """An artefact with one library that has parts which few use, and our packages."""
    ours = {f"{name}/__init__.py": "" for name in OURS}
    for name, source in {**LIBRARY, **ours}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(source)
    return tmp_path


def test_what_nothing_imports_goes(tree: Path) -> None:
    """A function of a library that would import it, if it were called, is no reason to keep it."""
    (tree / "records/table.py").write_text("from sqlalchemy import dialects")
    leave_out_unless_imported(tree)
    assert not (tree / "sqlalchemy/dialects/mysql").exists()
    assert (tree / "sqlalchemy/dialects").exists()


@pytest.mark.parametrize(
    "statement", ["import sqlalchemy.dialects.mysql", "from sqlalchemy.dialects import mysql", "def f():\n  import {}"]
)
def test_what_our_code_imports_by_name_stays(tree: Path, statement: str) -> None:
    """A team that starts to use a part of a library finds it in the next artefact, without a list to keep.

    However it is imported, at the top or in a function.
    """
    (tree / "records/table.py").write_text(statement.format("sqlalchemy.dialects.mysql"))
    leave_out_unless_imported(tree)
    assert (tree / "sqlalchemy/dialects/mysql").exists()
    assert not (tree / "sqlalchemy/dialects/oracle").exists()


@pytest.mark.parametrize("through", ["sqlalchemy.dialects.oracle", "sqlalchemy.kept"])
def test_what_the_imported_imports_stays(tree: Path, through: str) -> None:
    """A part that was asked for finds what it needs, in its functions too; so does a library's module at its import."""
    (tree / "sqlalchemy/kept.py").write_text("class C:\n    from sqlalchemy.dialects import mysql")
    (tree / "records/table.py").write_text(f"import {through}")
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
