"""What the noisiest reporters show of an error."""

import traceback
from pathlib import Path

from rich.console import Console
from rich.traceback import Traceback


class Hidden:
    """Holds a text as a handler may: its own frames show this, and not the text."""

    def __init__(self, content: str) -> None:
        self._content = content

    def __call__(self) -> str:
        return self._content


def everything_shown(error: BaseException) -> str:
    """Return what is made of an error and of every cause and context, suppressed ones too: all locals, all texts."""
    return "\n".join([_by_rich(error), *(f"{_by_python(each)}\n{each!r} {each.args!r}" for each in _links(error))])


def _links(error: BaseException) -> list[BaseException]:
    links = [error]
    for link in links:
        links += [more for more in (link.__cause__, link.__context__) if more is not None and more not in links]
    return links


def _by_python(error: BaseException) -> str:
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format(chain=False))


def _by_rich(error: BaseException) -> str:
    trace = Traceback.from_exception(
        type(error), error, error.__traceback__, show_locals=True, locals_max_length=100, locals_max_string=10_000
    )
    console = Console(width=500, record=True, file=Path("/dev/null").open("w", encoding="utf8"))  # noqa: SIM115 - closed below
    console.print(trace)
    console.file.close()
    return console.export_text()
