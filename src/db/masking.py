"""What must not be seen: a text that hides itself, and errors that forget what their frames held.

A traceback captured with local variables (rich, Sentry, `traceback.TracebackException(capture_locals=True)`) shows
the `repr` of each. A `Secret` is safe there; a driver's frames, which hold the text itself, are not.
"""

import hmac
from collections.abc import Collection, Iterator
from types import TracebackType
from typing import Never, TypeVar

ErrorT = TypeVar("ErrorT", bound=BaseException)


class Secret:
    """A text that is shown only to who asks with `reveal()`; only what sends it may."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text."""
        return self._text

    def __repr__(self) -> str:
        return "Secret('****')"

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._bytes(), other._bytes())

    def _bytes(self) -> bytes:
        return self._text.encode(errors="surrogatepass")  # what is raised otherwise shows the text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> Never:
        raise TypeError("a Secret is not written anywhere: it cannot be pickled")


def without_frames_of(error: ErrorT, packages: Collection[str]) -> ErrorT:
    """Return `error` without the frames from the first of `packages` on: they hold what was handed to it.

    The frames above stay, down to the line that called the package; so it is for all that led to the error. What was
    raised in no such frame, as a handler's own error, keeps every one.
    """
    for each in _chain(error):
        kept, frame = None, each.__traceback__
        while frame is not None and not _is_of(frame, packages):
            kept, frame = frame, frame.tb_next
        if kept is None:
            each.__traceback__ = None
        else:
            kept.tb_next = None
    return error


def _is_of(frame: TracebackType, packages: Collection[str]) -> bool:
    name = str(frame.tb_frame.f_globals.get("__name__"))
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def without_frames(error: ErrorT) -> ErrorT:
    """Return `error` with its type and message, and without the frames of it and of all that led to it."""
    for each in _chain(error):
        each.__traceback__ = None
    return error


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and all that led to it, each once."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            yield each
            waiting += [each.__cause__, each.__context__]
