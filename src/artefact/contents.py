"""What an artefact holds of the libraries, and of ours; and the check that nothing that our code needs is missing."""

import ast
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from artefact.reach import reached
from artefact.runtime import PROVIDED

NEVER_NEEDED = (
    # for editors and compilers
    "**/*.pyi",
    "**/py.typed",
    "**/*.pyx",
    "**/*.pxd",
    "**/*.c",
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
    # the libraries' own tests and generators
    "alembic/templates",
    "alembic/testing",
    "mako/ext",
    "mako/testing",
    "sqlalchemy/testing",
    # the system's own time zones serve
    "dateutil/zoneinfo/*.tar.gz",
)

UNLESS_IMPORTED = (
    "aws_lambda_powertools.utilities.auth_alpha",
    "aws_lambda_powertools.utilities.batch",
    "aws_lambda_powertools.utilities.circuit_breaker",
    "aws_lambda_powertools.utilities.data_masking",
    "aws_lambda_powertools.utilities.feature_flags",
    "aws_lambda_powertools.utilities.idempotency",
    "aws_lambda_powertools.utilities.kafka",
    "aws_lambda_powertools.utilities.parser",
    "aws_lambda_powertools.utilities.streaming",
    "aws_lambda_powertools.utilities.validation",
    "pg8000.native",
    "pydantic.v1",
    "sqlalchemy.dialects.mssql",
    "sqlalchemy.dialects.mysql",
    "sqlalchemy.dialects.oracle",
    "sqlalchemy.dialects.sqlite",
    "sqlalchemy.ext.asyncio",
)
"""Modules that nothing here loads: left out where neither our code nor what it imports does."""

OURS = ("db", "handlers", "migrations", "monitor", "provision", "records")


class MissingModuleError(Exception):
    """Our code imports what is not in the artefact; the message names both."""


def leave_out(libraries: Path) -> None:
    """Remove what no function ever needs."""
    for pattern in NEVER_NEEDED:
        _remove(libraries.glob(pattern))


def leave_out_unless_imported(artefact: Path) -> None:
    """Remove the modules of UNLESS_IMPORTED that neither our code, already there, nor what it imports asks for."""
    wanted = {f"{name}." for name in reached(artefact, OURS, _is_followed)}
    for name in UNLESS_IMPORTED:
        if not any(module.startswith(f"{name}.") for module in wanted):
            path = artefact.joinpath(*name.split("."))
            _remove([path, path.with_suffix(".py"), path.with_suffix(".pyc")])


def _is_followed(module: str) -> bool:
    """Say whether a module's functions may well be called where it is imported: ours, and what we asked for by name."""
    return f"{module}.".startswith(tuple(f"{name}." for name in (*OURS, *UNLESS_IMPORTED)))


def _remove(paths: Iterable[Path]) -> None:
    for path in sorted(path for path in paths if path.exists()):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def add_ours(source: Path, artefact: Path) -> None:
    """Copy our packages, their data included, without what a Python that ran them here has left."""
    for name in OURS:
        shutil.copytree(source / name, artefact / name, ignore=shutil.ignore_patterns("__pycache__"))


def require_everything(artefact: Path) -> None:
    """Raise MissingModuleError where our code imports a module, anywhere in it, that functions will not find."""
    for path, module in _imports(artefact):
        if not _is_there(artefact, module):
            where = path.relative_to(artefact)
            raise MissingModuleError(
                f"{where} imports {module}, which the artefact has not: is it pinned in requirements.txt, or left out "
                f"by artefact/contents.py?"
            )


def _imports(artefact: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file of ours with each module that it imports, anywhere in it."""
    for path in sorted(path for name in OURS for path in (artefact / name).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Import):
                yield from ((path, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield path, node.module


def _is_there(artefact: Path, module: str) -> bool:
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or top in PROVIDED:
        return True
    path = artefact.joinpath(*module.split("."))
    return path.is_dir() or any(path.parent.glob(f"{path.name}.*"))
