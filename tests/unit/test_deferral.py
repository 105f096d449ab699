"""Imports that move from a module's top to where their names are used."""

import ast
import importlib
import sys
import types
from pathlib import Path

import pytest

from artefact.deferral import CannotDeferError, defer


def edited(source: str, wanted: list[str], module: str = "pkg.mod") -> str:
    tree = ast.parse(source)
    defer(tree, module, wanted)
    return ast.unparse(tree)


def test_a_function_makes_the_import_that_it_uses() -> None:
    """The module's top is free of it, the function's first statement after its docstring has it."""
    source = 'import json\nimport asyncio\ndef f():\n    "doc"\n    return asyncio.run\ndef g():\n    return json'
    out = edited(source, ["asyncio"])
    assert out.startswith("import json\n\ndef f():")
    assert '"""doc"""\n    import asyncio\n    return asyncio.run' in out
    assert out.count("import asyncio") == 1


@pytest.mark.parametrize(
    "use",
    [
        "X = asyncio.run",
        "class C(asyncio.Event): pass",
        "def f(x=asyncio.run): pass",
        "@asyncio.coroutine\ndef f(): pass",
        "def f(x: asyncio.Event): pass",
        "class C: x: asyncio.Event",
        "f = lambda: asyncio.run",
        "def f(asyncio): return asyncio",
    ],
)
def test_what_is_needed_at_import_is_refused_and_named(use: str) -> None:
    """An edit that would change what a module does stops the build, with the line."""
    with pytest.raises(CannotDeferError, match=r"pkg\.mod uses asyncio .* in line 2"):
        edited(f"import asyncio\n{use}", ["asyncio"])


def test_what_only_type_checkers_see_is_no_use() -> None:
    """Annotations that stay text, and the body of `if TYPE_CHECKING`, need nothing at run time."""
    source = "from __future__ import annotations\nimport asyncio\ndef f(x: asyncio.Event) -> None: pass\n"
    source += "if TYPE_CHECKING:\n    X = asyncio.Event\n"
    assert "import asyncio" not in edited(source, ["asyncio"])


@pytest.mark.parametrize("entry", ["asyncio", "pkg.sibling"])
def test_an_entry_that_fits_nothing_is_refused(entry: str) -> None:
    """A library that no longer imports a module is noticed, so that edits.toml never lies."""
    with pytest.raises(CannotDeferError, match=f"does not import {entry}"):
        edited("import json\ndef f(): import asyncio", [entry])


def test_only_unused_names_move_with_a_star() -> None:
    """`*` takes what a module imports for others, and leaves what it uses itself."""
    out = edited("from .a import A, B\nfrom .c import *\nX = B", ["*"])
    assert "from .a import B\n" in out
    assert "from .c import *" in out
    assert "__deferred__ = {'A': ('pkg.a', 'A')}" in out


def test_lines_stay_where_they_are() -> None:
    """A traceback's line is the source's."""
    tree = ast.parse("import asyncio\n\n\ndef f():\n    return asyncio\n")
    defer(tree, "m", ["asyncio"])
    [function] = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "f"]
    assert (function.lineno, function.body[0].lineno, function.body[1].lineno) == (4, 1, 5)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A package with deferred imports, imported."""
    folder = tmp_path / "deferring"
    folder.mkdir()
    (folder / "part.py").write_text("class Thing: pass\nother = 1\n")
    (folder / "sibling.py").write_text("")
    tree = ast.parse("from .part import Thing, other as renamed\nfrom . import sibling\nimport html.parser as hp\n")
    defer(tree, "deferring", ["*"], is_package=True)
    (folder / "__init__.py").write_text(ast.unparse(tree))
    monkeypatch.syspath_prepend(tmp_path)
    return importlib.import_module("deferring")


def test_others_get_what_they_ask_for(package: types.ModuleType) -> None:
    """Names that left the top are there for whoever asks: attributes, submodules, renamed ones, whole modules."""
    before = set(sys.modules) & {"deferring.part", "deferring.sibling"}
    assert before == set()
    assert package.Thing is sys.modules["deferring.part"].Thing
    assert package.renamed == 1
    assert package.sibling is sys.modules["deferring.sibling"]
    assert package.hp.HTMLParser
    for name in [name for name in sys.modules if name.partition(".")[0] == "deferring"]:
        del sys.modules[name]


def test_a_name_that_never_was_there_is_an_attribute_error(package: types.ModuleType) -> None:
    """`hasattr` and `from package import name` behave as ever."""
    assert not hasattr(package, "nothing")
    del sys.modules["deferring"]
