"""The whole table: runs last, when each row has had its say."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.noticing import Noticed

HERE = Path(__file__).parent


def named_in(file: Path) -> Iterator[str]:
    functions = (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef))
    yield from (function.name for function in functions if function.name.startswith("test_"))


def test_every_row_was_noticed_within_its_bound(request: pytest.FixtureRequest, noticed: Noticed) -> None:
    """28 of 28: with all tests of this folder run, no row of the table of faults is missing."""
    run = {(item.path, item.originalname) for item in request.session.items if isinstance(item, pytest.Function)}
    if not run.issuperset((file, name) for file in HERE.glob("test_*.py") for name in named_in(file)):
        pytest.skip("only a part of tests/faults is run")
    assert noticed.missing == []
