"""Writes the README's table of settings from db/settings.py: `make tables`. A test holds the one to the other."""

import ast
import inspect
import re
from dataclasses import fields
from pathlib import Path

from db import DatabaseSettings, settings

README = Path(__file__).parents[1] / "README.md"
TABLE = re.compile(r"(<!-- settings -->\n).*?(<!-- /settings -->)", re.DOTALL)
NOBODYS_DEFAULT = {"DB_APPLICATION_NAME": "function:version:environment"}


def _meanings() -> dict[str, str]:
    """Return what is written under each field; Python keeps no docstring of a field."""
    (declared,) = (
        node
        for node in ast.parse(inspect.getsource(settings)).body
        if isinstance(node, ast.ClassDef) and node.name == DatabaseSettings.__name__
    )
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in zip(declared.body, declared.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
    }


def rows() -> list[str]:
    """Return a row for each variable: its name, default and meaning."""
    meanings = _meanings()
    return [
        f"| `{variable}` | {_default(variable, declared.default)} | {meanings[declared.name]} |"
        for declared in fields(DatabaseSettings)
        for variable in [declared.metadata["variable"]]
    ]


def _default(variable: str, default: object) -> str:
    if default is None:
        return ""
    return f"`{NOBODYS_DEFAULT.get(variable, f'{default:g}' if isinstance(default, float) else default)}`"


def rendered(text: str) -> str:
    """Return the README's text with the table as it should be."""
    table = "\n".join(["| variable | default | meaning |", "|---|---|---|", *rows()])
    return TABLE.sub(lambda found: f"{found[1]}{table}\n{found[2]}", text)


if __name__ == "__main__":
    README.write_text(rendered(README.read_text(encoding="utf-8")), encoding="utf-8")
