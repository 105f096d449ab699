"""Which modules of an artefact our code reaches by imports, its own and those of the libraries that it imports.

Reads bytecode, and compiles what is not; runs nothing.
"""

from collections.abc import Callable, Iterable
from inspect import CO_NEWLOCALS
from modulefinder import Module, ModuleFinder
from pathlib import Path
from types import CodeType
from typing import Any


def reached(artefact: Path, packages: Iterable[str], reads_functions: Callable[[str], bool]) -> set[str]:
    """Return the names of the modules that `packages` reach.

    Of most libraries only what runs at import is followed: what one of their functions may want is wanted by few. Whose
    functions are read, too, `reads_functions` says by a module's name.
    """
    finder = _Finder(artefact, reads_functions)
    for path in sorted(path for package in packages for path in (artefact / package).rglob("*.py")):
        parts = path.relative_to(artefact).with_suffix("").parts
        finder.import_hook(".".join(parts[:-1] if path.name == "__init__.py" else parts))
    return set(finder.modules)


class _Finder(ModuleFinder):
    """The standard library's, which follows the imports of functions as well."""

    def __init__(self, artefact: Path, reads_functions: Callable[[str], bool]) -> None:
        super().__init__(path=[str(artefact)])
        self._reads_functions = reads_functions

    def scan_code(self, co: CodeType, m: Module) -> None:
        """Follow what `co` imports."""
        if not self._reads_functions(m.__name__):  # type: ignore[attr-defined]  # typeshed does not know it
            co = co.replace(co_consts=tuple(None if _is_function(each) else each for each in co.co_consts))
        super().scan_code(co, m)

    def find_module(self, name: str, path: Any, parent: Module | None = None) -> Any:  # noqa: ANN401 - its types
        """Find it; a directory without `__init__` is none: the standard library's stumbles over one."""
        try:
            return super().find_module(name, path, parent)
        except AttributeError as error:
            raise ImportError(name) from error


def _is_function(constant: object) -> bool:
    return isinstance(constant, CodeType) and bool(constant.co_flags & CO_NEWLOCALS)
