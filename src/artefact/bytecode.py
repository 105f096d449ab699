"""Compiles a tree for the runtime: bytecode that is never checked against its source, edited as edits.toml says.

The sources stay beside it: tracebacks show their lines, and a Python of another version still finds its way.
Unchecked hash-based pycs: https://peps.python.org/pep-0552/
"""

import ast
import importlib.util
import marshal
import tomllib
from collections.abc import Iterator
from pathlib import Path

from artefact.contents import OURS
from artefact.deferral import CannotDeferError, defer

HASH_BASED_UNCHECKED = 0b01
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
DEPLOYED_AT = "/var/task"
"""Where Lambda unpacks the artefact; what tracebacks say, wherever it was built."""


class Edits:
    """What edits.toml says, to be carried out once each."""

    def __init__(self, table: Path = Path(__file__).with_name("edits.toml")) -> None:
        read = tomllib.loads(table.read_text())
        self._deferred: dict[str, list[str]] = read["deferred"]
        self._replaced: dict[str, list[str]] = read["replaced"]

    def apply(self, artefact: Path, module: str, source: str, *, is_package: bool) -> ast.Module:
        """Return the syntax tree of `source` as edited; raise CannotDeferError where an edit does not fit."""
        if replacement := self._replaced.pop(module, None):
            old, new = replacement
            if source.count(old) != 1:
                raise CannotDeferError(f"{module} does not say {old} once")
            source = source.replace(old, new.replace("{version}", _version(artefact, module)))
        tree = ast.parse(source)
        if wanted := self._deferred.pop(module, None):
            defer(tree, module, wanted, is_package=is_package)
        return tree

    def require_done(self) -> None:
        """Raise CannotDeferError where an entry's module was not there."""
        if left := sorted({*self._deferred, *self._replaced}):
            raise CannotDeferError(f"edits.toml names modules that the artefact has not: {', '.join(left)}")


def _version(artefact: Path, module: str) -> str:
    """Return the version of the distribution that carries `module`, from the name of its metadata's directory."""
    found = next(artefact.glob(f"{module.partition('.')[0]}-*.dist-info"))
    return found.stem.rpartition("-")[2]


def compile_tree(artefact: Path, edits: Edits) -> int:
    """Compile every module in `artefact`; return how many bytecode files there are now."""
    modules = dict(_modules(artefact))
    for path, module in modules.items():
        source = path.read_bytes()
        tree = edits.apply(artefact, module, source.decode(), is_package=path.name == "__init__.py")
        if module.partition(".")[0] not in OURS:
            _drop_docstrings(tree)
        _write(path, source, tree, f"{DEPLOYED_AT}/{path.relative_to(artefact)}")
    edits.require_done()
    return len(modules)


def _modules(artefact: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(artefact.rglob("*.py")):
        parts = path.relative_to(artefact).with_suffix("").parts
        yield path, ".".join(parts[:-1] if path.name == "__init__.py" else parts)


def _drop_docstrings(tree: ast.Module) -> None:
    """Leave out the libraries' documentation: a quarter of what is read at each start, and kept in memory."""
    for node in ast.walk(tree):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False):
            del node.body[0]
            node.body = node.body or [ast.Pass()]


def _write(path: Path, source: bytes, tree: ast.Module, name: str) -> None:
    code = compile(ast.fix_missing_locations(tree), name, "exec", dont_inherit=True)
    header = importlib.util.MAGIC_NUMBER + HASH_BASED_UNCHECKED.to_bytes(4, "little")
    target = Path(importlib.util.cache_from_source(str(path)))
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(header + importlib.util.source_hash(source) + marshal.dumps(code))
