"""What of the installed libraries is left out, each with its reason; and the check that nothing needed is among it."""

import ast
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from artefact.runtime import PROVIDED

LEFT_OUT = (
    # for editors and compilers
    "**/*.pyi",
    "**/py.typed",
    "**/*.pyx",
    "**/*.pxd",
    "wrapt-stubs",
    "pydantic/mypy.py",
    "sqlalchemy/ext/mypy",
    # for installers; METADATA stays for importlib.metadata, and the licences stay
    "bin",
    "*.dist-info/RECORD",
    "*.dist-info/INSTALLER",
    "*.dist-info/REQUESTED",
    "*.dist-info/WHEEL",
    "*.dist-info/top_level.txt",
    "*.dist-info/entry_points.txt",
    # the libraries' own tests, generators and pages
    "alembic/templates",
    "alembic/testing",
    "aws_lambda_powertools/event_handler/openapi/swagger_ui/*.min.*",
    "mako/ext",
    "mako/testing",
    "sqlalchemy/testing",
    # what another library, database or driver would need
    "aws_xray_sdk/ext",
    "pg8000/native.py",
    "pydantic/v1",
    "sqlalchemy/dialects/mssql",
    "sqlalchemy/dialects/mysql",
    "sqlalchemy/dialects/oracle",
    "sqlalchemy/dialects/sqlite",
    # the system's own time zones serve
    "dateutil/zoneinfo/*.tar.gz",
)

OURS = ("db", "handlers", "migrations", "records")


class MissingModuleError(Exception):
    """Our code imports what is not in the artefact; the message names both."""


def leave_out(artefact: Path) -> None:
    """Remove what no function imports."""
    for pattern in LEFT_OUT:
        for path in sorted(artefact.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def add_ours(source: Path, artefact: Path) -> None:
    """Copy our packages, their data included, without what a Python that ran them here has left."""
    for name in OURS:
        shutil.copytree(source / name, artefact / name, ignore=shutil.ignore_patterns("__pycache__"))


def require_everything(artefact: Path) -> None:
    """Raise MissingModuleError where our code imports a module, anywhere in it, that functions will not find."""
    for name in OURS:
        for path in sorted((artefact / name).rglob("*.py")):
            for module in _imported(ast.parse(path.read_bytes())):
                if not _is_there(artefact, module):
                    where = path.relative_to(artefact)
                    raise MissingModuleError(f"{where} imports {module}, which the artefact has not: see contents.py")


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def _is_there(artefact: Path, module: str) -> bool:
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or top in PROVIDED:
        return True
    path = artefact.joinpath(*module.split("."))
    return path.is_dir() or path.with_suffix(".py").exists() or any(path.parent.glob(f"{path.name}.*.so"))
