"""Installs the locked wheels for the runtime, whatever machine this is. Knows nothing of what of them is needed."""

import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from artefact.runtime import PLATFORMS, PROVIDED, VERSION


class InstallError(Exception):
    """pip could not install; carries what it said."""


def install(requirements: Path, target: Path, architectures: Iterable[str]) -> None:
    """Install the pinned `requirements` into `target`, with the compiled modules of each architecture side by side.

    Python finds its own by their names' suffix, so one artefact serves all processors. Raises InstallError.
    """
    with TemporaryDirectory() as scratch:
        pins = Path(scratch, "requirements.txt")
        pins.write_text("".join(not_provided(requirements.read_text())))
        running = {name: _pip(pins, Path(scratch, name), PLATFORMS[name]) for name in architectures}
        for name, process in running.items():
            _, complaint = process.communicate()
            if process.returncode:
                raise InstallError(complaint)
            shutil.copytree(Path(scratch, name), target, dirs_exist_ok=True)


def not_provided(requirements: str) -> Iterator[str]:
    """Yield the lines of the requirements that the runtime does not bring along; a pin's own are indented."""
    wanted = True
    for line in requirements.splitlines(keepends=True):
        if not line.startswith((" ", "#")):
            wanted = line.partition("==")[0].strip() not in PROVIDED
        if wanted:
            yield line


def _pip(requirements: Path, target: Path, platform: str) -> subprocess.Popen[str]:
    where = ["--target", str(target), "--requirement", str(requirements)]
    wheels = ["--implementation", "cp", "--python-version", VERSION, "--only-binary", ":all:"]
    platforms = ["--platform", f"manylinux2014_{platform}", "--platform", f"manylinux_2_28_{platform}"]
    exactly = ["--require-hashes", "--no-deps", "--no-compile", "--quiet", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", *where, *wheels, *platforms, *exactly]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)  # noqa: S603 - pip, with our own arguments
