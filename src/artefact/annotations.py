"""Takes out of a library's code what is there for type checkers only, and what is there to be read.

`typing.TYPE_CHECKING` is False wherever this runs, an `@overload` is replaced by the definition behind it as soon as
that is reached, and a docstring is read by people: none of it changes what the code does. All of it would be read, run
and kept in memory at each start.
"""

import ast
from collections.abc import Sequence

Definition = ast.FunctionDef | ast.AsyncFunctionDef
DOCUMENTED = ast.Module | ast.ClassDef | Definition
BLOCKS = ("body", "orelse", "finalbody")


def drop_annotations(tree: ast.Module) -> None:
    """Take it out of the syntax tree. Line numbers stay."""
    for node in list(ast.walk(tree)):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False):
            del node.body[0]
        for name in BLOCKS:
            if isinstance(block := getattr(node, name, None), list):
                setattr(node, name, _kept(block) or ([ast.Pass()] if block and name == "body" else []))
        if isinstance(node, DOCUMENTED) and not isinstance(node, ast.Module):
            node.body = node.body or [ast.Pass()]


def _kept(block: Sequence[ast.stmt]) -> list[ast.stmt]:
    implemented = {node.name for node in block if isinstance(node, Definition) and not _is_overload(node)}
    kept: list[ast.stmt] = []
    for node in block:
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            kept += _kept(node.orelse)
        elif not (isinstance(node, Definition) and _is_overload(node) and node.name in implemented):
            kept.append(node)
    return kept


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", None)
    return name == "TYPE_CHECKING"


def _is_overload(node: Definition) -> bool:
    names = [one.attr if isinstance(one, ast.Attribute) else getattr(one, "id", None) for one in node.decorator_list]
    return "overload" in names
