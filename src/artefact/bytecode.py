"""Compiles a tree for the runtime: bytecode that is never checked against its source, edited as edits.toml says.

Our own sources stay beside theirs; of the libraries there is only bytecode, which halves what is uploaded and unpacked.
Tracebacks name a library's file and line all the same. Unchecked hash-based pycs: https://peps.python.org/pep-0552/
"""

import ast
import importlib.util
import marshal
import tomllib
from collections.abc import Iterator
from pathlib import Path

from artefact.annotations import drop_annotations
from artefact.deferral import CannotDeferError, defer

HASH_BASED_UNCHECKED = 0b01
DEPLOYED_AT = "/var/task"
"""Where Lambda unpacks the artefact; what tracebacks say, wherever it was built."""


class Edits:
    """What edits.toml says, to be carried out once each."""

    def __init__(self, table: str) -> None:
        """Read a table in the form of edits.toml."""
        read = tomllib.loads(table)
        self._deferred: dict[str, list[str]] = read["deferred"]
        self._replaced: dict[str, list[list[str]]] = read["replaced"]

    def apply(self, artefact: Path, module: str, source: str, *, is_package: bool) -> ast.Module:
        """Return the syntax tree of `source` as edited; raise CannotDeferError where an edit does not fit."""
        for old, new in self._replaced.pop(module, []):
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


def compile_libraries(libraries: Path, edits: Edits) -> None:
    """Put bytecode in the place of each module's source. Raises CannotDeferError where an edit does not fit."""
    for path, module in list(_modules(libraries)):
        source = path.read_bytes()
        tree = edits.apply(libraries, module, source.decode(), is_package=path.name == "__init__.py")
        drop_annotations(tree)
        path.with_suffix(".pyc").write_bytes(_bytecode(source, tree, _deployed(libraries, path)))
        path.unlink()
    edits.require_done()


def compile_ours(artefact: Path) -> None:
    """Put bytecode beside each source that is there."""
    for path, _ in _modules(artefact):
        source = path.read_bytes()
        target = Path(importlib.util.cache_from_source(str(path)))
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(_bytecode(source, ast.parse(source), _deployed(artefact, path)))


def _modules(artefact: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(artefact.rglob("*.py")):
        parts = path.relative_to(artefact).with_suffix("").parts
        yield path, ".".join(parts[:-1] if path.name == "__init__.py" else parts)


def _deployed(artefact: Path, path: Path) -> str:
    return f"{DEPLOYED_AT}/{path.relative_to(artefact)}"


def _bytecode(source: bytes, tree: ast.Module, name: str) -> bytes:
    code = compile(ast.fix_missing_locations(tree), name, "exec", dont_inherit=True)
    header = importlib.util.MAGIC_NUMBER + HASH_BASED_UNCHECKED.to_bytes(4, "little")
    return header + importlib.util.source_hash(source) + marshal.dumps(code)
