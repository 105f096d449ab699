"""Looks for the canary's words in folders before they are cleared up: the run's, and those of `make run` under test."""

import shutil
from pathlib import Path
from types import TracebackType
from typing import Any
from unittest.mock import patch

from local.guardian import Guardian
from tests.canary import files_with_a_word

found: list[str] = []
"""Where the words were."""
own_folders: set[Path] = set()
"""Where this process writes."""
remove_unseen = shutil.rmtree
"""Removes a folder that holds the words on purpose."""
_folders: dict[Guardian, list[Path]] = {}
"""What each guardian will clear up."""
_put_under_guard, _clear_up = Guardian.folder, Guardian.__exit__


def watch() -> None:
    """See every folder go."""
    for target, name, seeing in (
        (shutil, "rmtree", _remove),
        (Guardian, "folder", _guard),
        (Guardian, "__exit__", _end),
    ):
        patch.object(target, name, seeing).start()


def _remove(path: Any, *rest: Any, **options: Any) -> None:  # noqa: ANN401 - as shutil's
    """Look into a folder of this run's before it is removed; pytest also clears up what earlier runs left."""
    if own_folders.intersection(Path(path).absolute().parents):
        _look_into(Path(path))
    remove_unseen(path, *rest, **options)


def _guard(guardian: Guardian, path: Path) -> None:
    _folders.setdefault(guardian, []).append(path)
    _put_under_guard(guardian, path)


def _end(
    guardian: Guardian, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
) -> None:
    """Look into what the guardian, a process of its own, clears up now."""
    for folder in _folders.pop(guardian, []):
        _look_into(folder)
    _clear_up(guardian, kind, error, trace)


def _look_into(folder: Path) -> None:
    found.extend(f"file {path}, which is gone now" for path in files_with_a_word(folder))
