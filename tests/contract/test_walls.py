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
