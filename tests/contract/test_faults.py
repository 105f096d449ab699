"""Every fault that a borrow must survive has a test that says so, and one that says how late it is noticed."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.contract.stack import ROOT
from tests.noticing import ROWS

NAMED = re.compile(r"\bRows? (\d+(?:(?:, | and )\d+)*)")


def _tests(folder: Path) -> Iterator[ast.FunctionDef]:
    for file in folder.rglob("test_*.py"):
        functions = (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef))
        yield from (node for node in functions if node.name.startswith("test_"))


def _named_by(test: ast.FunctionDef) -> set[int]:
    named = NAMED.findall(ast.get_docstring(test) or "")
    return {int(row) for rows in named for row in re.findall(r"\d+", rows)}


def _reported_by(test: ast.FunctionDef) -> set[int]:
    """Return the rows of its `noticed(row, ...)` and `noticed.within(bound_s, row, ...)`, where they are numbers."""
    found: list[ast.expr] = []
    for node in ast.walk(test):
        match node:
            case ast.Call(ast.Name("noticed"), [row, *_]):
                found.append(row)
            case ast.Call(ast.Attribute(ast.Name("noticed"), "within"), [_, *rows]):
                found += rows
    return {row.value for row in found if isinstance(row, ast.Constant) and isinstance(row.value, int)}


def test_each_fault_has_a_test() -> None:
    """A test's docstring begins with the rows that it holds."""
    held = set().union(*(_named_by(test) for test in _tests(ROOT / "tests")))
    assert held >= set(ROWS), f"no test names the rows {sorted(set(ROWS) - held)}"


def test_each_fault_is_held_to_its_bound() -> None:
    """Among the fault tests there is one for each row that reports when it was noticed, and that names the row."""
    tests = list(_tests(ROOT / "tests" / "faults"))
    assert [(test.name, unnamed) for test in tests if (unnamed := _reported_by(test) - _named_by(test))] == []
    reported = set().union(*map(_reported_by, tests))
    assert reported >= set(ROWS), f"nobody says when the rows {sorted(set(ROWS) - reported)} were noticed"
