"""What type checkers and readers need, taken out of libraries."""

import ast

import pytest

from artefact.annotations import drop_annotations


def without(source: str) -> str:
    tree = ast.parse(source)
    drop_annotations(tree)
    return ast.unparse(ast.fix_missing_locations(tree))


@pytest.mark.parametrize(
    ("source", "left"),
    [
        ('"doc"\nx = 1', "x = 1"),
        ('def f():\n    "doc"', "def f():\n    pass"),
        ('class C:\n    "doc"\n    x = 1', "class C:\n    x = 1"),
        ("if TYPE_CHECKING:\n    import a\nx = 1", "x = 1"),
        ("if typing.TYPE_CHECKING:\n    import a\nelse:\n    x = 1", "x = 1"),
        ("class C:\n    if TYPE_CHECKING:\n        x: int", "class C:\n    pass"),
        ("if a:\n    b\nelif TYPE_CHECKING:\n    c\nelse:\n    d", "if a:\n    b\nelse:\n    d"),
        ("if a:\n    if TYPE_CHECKING:\n        b", "if a:\n    pass"),
        ("if TYPE_CHECKING:\n    a\nelif b:\n    c", "if b:\n    c"),
        (
            "@overload\ndef f(x: int): ...\n@typing.overload\ndef f(x: str): ...\ndef f(x): return x",
            "def f(x):\n    return x",
        ),
        ("class P:\n    @overload\n    def f(self): ...", "class P:\n\n    @overload\n    def f(self):\n        ..."),
        ("try:\n    if TYPE_CHECKING:\n        a\nfinally:\n    b", "try:\n    pass\nfinally:\n    b"),
    ],
)
def test_only_what_does_nothing_goes(source: str, left: str) -> None:
    """Docstrings, blocks for type checkers, overloads that a definition follows; what is left stays whole."""
    assert without(source) == left


def test_a_text_that_is_used_stays() -> None:
    """Only the first statement of a body is documentation."""
    assert without('x = "doc"\ndef f():\n    return "doc"') == "x = 'doc'\n\ndef f():\n    return 'doc'"
