"""Every fault that a borrow must survive has a test that says so."""

import ast
import re
from collections.abc import Iterator

from tests.contract.stack import ROOT

ROWS = range(1, 29)
"""The table of faults that the project promises to survive."""
NAMED = re.compile(r"\bRows? (\d+(?:(?:, | and )\d+)*)")


def _docstrings() -> Iterator[str]:
    for file in (ROOT / "tests").rglob("test_*.py"):
        functions = (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef))
        yield from (ast.get_docstring(node) or "" for node in functions if node.name.startswith("test_"))


def test_each_fault_has_a_test() -> None:
    """A test's docstring begins with the rows that it holds."""
    held = {int(row) for text in _docstrings() for named in NAMED.findall(text) for row in re.findall(r"\d+", named)}
    assert held >= set(ROWS), f"no test names the rows {sorted(set(ROWS) - held)}"
