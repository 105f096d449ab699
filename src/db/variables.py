"""Readers of a variable's text: what it may be, and the value that it is. Pure."""

from collections.abc import Callable
from enum import StrEnum

Reader = Callable[[str], object]
"""Turns a variable's text into a value; its ValueError says what is allowed."""
MAX_PORT = 65535


def number(kind: type[int] | type[float], low: float, high: float) -> Reader:
    """Return the reader of a number from `low` to `high`, both included."""

    def read(text: str) -> object:
        try:
            value = kind(text)
        except ValueError:
            value = kind(low - 1)
        if not low <= value <= high:
            noun = "a whole number" if kind is int else "a number"
            raise ValueError(f"{noun} from {low} to {high}")
        return value

    return read


def total(low: int, high: int) -> Reader:
    """Return the reader of a whole number, or of a sum such as `20+5`: CloudFormation can write it, but not add it."""

    def read(text: str) -> object:
        try:
            value = sum(int(part) for part in text.split("+"))
        except ValueError:
            value = low - 1
        if not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}, or a sum such as 20+5")
        return value

    return read


def choice(kind: type[StrEnum]) -> Reader:
    """Return the reader of one of `kind`'s values."""

    def read(text: str) -> object:
        try:
            return kind(text)
        except ValueError as error:
            raise ValueError(" or ".join(kind)) from error

    return read


def switch(text: str) -> object:
    """Read `true` or `false`."""
    if text not in {"true", "false"}:
        raise ValueError("true or false")
    return text == "true"
