"""Walls that import-linter cannot see."""

import ast
from collections.abc import Iterator
from pathlib import Path

SRC = Path(__file__).parents[2] / "src"
MAY_READ_THE_ENVIRONMENT = {"db/settings.py", "artefact/cache.py"}
"""The latter belongs to a build, on the machine that builds."""


def readers(name: str) -> Iterator[str]:
    """Yield the files of src that use the attribute `name` of os, or import it."""
    for path in SRC.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if _uses(node, name):
                yield str(path.relative_to(SRC))


def _uses(node: ast.AST, name: str) -> bool:
    if isinstance(node, ast.ImportFrom):
        return node.module == "os" and name in {alias.name for alias in node.names}
    return isinstance(node, ast.Attribute) and node.attr == name


def test_only_the_settings_read_the_environment() -> None:
    """Every variable that changes what the package does is found in one place; so is every one that is secret."""
    assert {*readers("environ"), *readers("getenv")} == MAY_READ_THE_ENVIRONMENT


KNOW_PG8000 = {"db/protocol/cursor.py", "db/protocol/readers.py", "db/protocol/replies.py"}


def test_few_files_use_more_of_pg8000_than_its_errors() -> None:
    """Who raises its version knows which files to read again."""
    found = {path for path in SRC.rglob("*.py") if any(map(_is_beyond_errors, ast.walk(ast.parse(path.read_text()))))}
    assert {str(path.relative_to(SRC)) for path in found} == KNOW_PG8000


def _is_beyond_errors(node: ast.AST) -> bool:
    """Say whether `node` imports, or takes from pg8000.dbapi, what is no DBAPI error."""
    match node:
        case ast.ImportFrom(module="pg8000"):
            return {alias.name for alias in node.names} != {"dbapi"}
        case ast.ImportFrom(module="pg8000.dbapi"):
            return not all(alias.name.endswith("Error") for alias in node.names)
        case ast.Attribute(value=ast.Name("dbapi")):
            return not node.attr.endswith("Error")
        case ast.Import() | ast.ImportFrom():
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            return any(name.split(".")[0] == "pg8000" for name in names)
    return False
