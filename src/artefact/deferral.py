"""Moves chosen imports of a module from its top to where their names are used, while its bytecode is compiled.

What PEP 810's lazy imports will do in the language (https://peps.python.org/pep-0810/), for a runtime that has none:
an import that only some functions need is made by those functions, and one that a module makes only for others is
made when they ask (PEP 562). Knows nothing of which imports these are: see edits.toml.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

Definition = ast.FunctionDef | ast.AsyncFunctionDef
Import = ast.Import | ast.ImportFrom

ALL_UNUSED = "*"
"""In place of a module's name: whatever is imported for others and not used here."""

ON_DEMAND = """
def __getattr__(name):
    if name not in __deferred__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = __deferred__[name]
    value = __import__(module, None, None, [attribute or "*"])
    value = globals()[name] = getattr(value, attribute) if attribute else value
    return value
"""


class CannotDeferError(Exception):
    """An import is used while its module is being imported, or is not there; the message says which and where."""


@dataclass(frozen=True, slots=True)
class _Imported:
    """One name that one statement at the top of a module binds."""

    node: Import
    alias: ast.alias
    package: str

    @property
    def name(self) -> str:
        return self.alias.asname or self.alias.name.partition(".")[0]

    @property
    def origin(self) -> str:
        """The absolute name of the module that the statement names."""
        if isinstance(self.node, ast.Import):
            return self.alias.name
        parents = self.package.split(".")
        kept = parents[: len(parents) - self.node.level + 1] if self.node.level else []
        return ".".join([*kept, *filter(None, [self.node.module])])

    @property
    def is_sibling(self) -> bool:
        """Say whether it is a submodule that its own package imports: `from . import name`."""
        return isinstance(self.node, ast.ImportFrom) and self.origin == self.package

    def is_from(self, module: str) -> bool:
        if isinstance(self.node, ast.Import):
            return self.origin == module
        return module in {self.origin, f"{self.origin}.{self.alias.name}"}

    def on_demand(self) -> tuple[str, str | None]:
        """Return the module to import, and what to take of it, when somebody else asks for the name."""
        if isinstance(self.node, ast.Import):
            return (self.origin if self.alias.asname else self.name), None
        return (f"{self.origin}.{self.alias.name}", None) if self.is_sibling else (self.origin, self.alias.name)

    def statement(self) -> Import:
        """Return a statement that binds only this name."""
        if isinstance(self.node, ast.Import):
            alone: Import = ast.Import([self.alias])
        else:
            alone = ast.ImportFrom(self.node.module, [self.alias], self.node.level)
        return ast.fix_missing_locations(ast.copy_location(alone, self.node))


def defer(tree: ast.Module, module: str, wanted: Iterable[str], *, is_package: bool = False) -> None:
    """Defer, in the syntax tree of `module`, its imports from the modules that `wanted` names. Line numbers stay.

    Raises CannotDeferError where one is not imported at the top, or is needed there already.
    """
    package = module if is_package else module.rpartition(".")[0]
    on_demand: dict[str, tuple[str, str | None]] = {}
    for name in wanted:
        chosen = [one for one in _imported(tree, package) if name == ALL_UNUSED or one.is_from(name)]
        if not chosen:
            raise CannotDeferError(f"{module} does not import {name} at its top")
        for one in chosen:
            if _move(tree, module, one, unused_only=name == ALL_UNUSED):
                on_demand[one.name] = one.on_demand()
    _add_on_demand(tree, module, on_demand)


def _imported(tree: ast.Module, package: str) -> list[_Imported]:
    return [
        _Imported(node, alias, package)
        for node in tree.body
        if isinstance(node, ast.Import) or (isinstance(node, ast.ImportFrom) and node.module != "__future__")
        for alias in node.names
        if alias.name != "*"
    ]


def _move(tree: ast.Module, module: str, one: _Imported, *, unused_only: bool) -> bool:
    """Move one import into the functions that use its name; say whether it left the top."""
    uses = _Uses(one.name, annotations_are_text=_has_future_annotations(tree))
    uses.visit(tree)
    if unused_only and (uses.functions or uses.lines):
        return False
    if uses.lines:
        raise CannotDeferError(f"{module} uses {one.name} while it is imported, in line {uses.lines[0]}")
    one.node.names.remove(one.alias)
    if not one.node.names:
        tree.body.remove(one.node)
    for function in uses.functions:
        block, index = _before_first_use(function.body, one.name)
        block.insert(index, one.statement())
    return True


def _before_first_use(block: list[ast.stmt], name: str) -> tuple[list[ast.stmt], int]:
    """Return where in a function an import must stand so that only the paths that use `name` make it."""
    using = [index for index, statement in enumerate(block) if _mentions(statement, name)]
    only = block[using[0]]
    if len(using) == 1 and isinstance(only, ast.If):
        for branch in (only.body, only.orelse):
            if sum(_mentions(statement, name) for statement in branch) == _mentions(only, name):
                return _before_first_use(branch, name)
    return block, using[0]


def _mentions(node: ast.AST, name: str) -> int:
    """Count the uses of a name in what runs with `node` itself, and not in functions that it only defines."""
    if isinstance(node, ast.Name):
        return int(node.id == name)
    inside = (*node.decorator_list, node.args) if isinstance(node, Definition) else ast.iter_child_nodes(node)
    return sum(_mentions(inner, name) for inner in inside)


def _has_future_annotations(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.ImportFrom) and node.module == "__future__" and node.names[0].name == "annotations"
        for node in tree.body
    )


def _add_on_demand(tree: ast.Module, module: str, names: dict[str, tuple[str, str | None]]) -> None:
    """Give the module a `__getattr__` that imports these names when they are asked for from outside."""
    if any(isinstance(node, Definition) and node.name == "__getattr__" for node in tree.body):
        raise CannotDeferError(f"{module} has a __getattr__ of its own")
    tree.body += ast.parse(f"__deferred__ = {names!r}\n{ON_DEMAND}").body


@dataclass
class _Uses(ast.NodeVisitor):
    """Where a name is used: in which functions, and in which lines that run at import."""

    name: str
    annotations_are_text: bool
    functions: list[Definition] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)

    def visit_Name(self, node: ast.Name) -> None:
        if node.id == self.name:
            self.lines.append(node.lineno)

    def visit_FunctionDef(self, node: Definition) -> None:
        for part in self._evaluated_at_import(node):
            self.visit(part)
        self.lines += [one.lineno for one in ast.walk(node) if isinstance(one, ast.arg) and one.arg == self.name]
        definitions = [one for one in ast.walk(node) if isinstance(one, Definition)]
        self.functions += [one for one in definitions if any(_mentions(inner, self.name) for inner in one.body)]

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - ast.NodeVisitor's name

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        parts = [node.value] if self.annotations_are_text else [node.annotation, node.value]
        for part in filter(None, parts):
            self.visit(part)

    def visit_If(self, node: ast.If) -> None:
        for part in [node.test, *node.body, *node.orelse]:
            if not (isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING" and part in node.body):
                self.visit(part)

    def _evaluated_at_import(self, node: Definition) -> Iterator[ast.expr]:
        yield from node.decorator_list
        yield from filter(None, [*node.args.defaults, *node.args.kw_defaults])
        if not self.annotations_are_text:
            every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg]
            yield from filter(None, [*(argument.annotation for argument in every if argument), node.returns])
