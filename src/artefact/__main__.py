"""Build the functions' artefact from this directory: `python -m artefact TARGET [--architecture x86_64|arm64]`.

`sam build` runs this through the Makefile beside it. The same sources and pins give the same bytes.
"""

import argparse
import os
import shutil
import sys
from functools import partial
from pathlib import Path

from artefact import cache
from artefact.bytecode import Edits, compile_libraries, compile_ours
from artefact.contents import add_ours, leave_out, leave_out_unless_imported, require_everything
from artefact.elf import strip
from artefact.install import install
from artefact.runtime import PLATFORMS, VERSION, is_builders

HERE = Path(__file__).resolve().parent
SOURCE = HERE.parent
REQUIREMENTS = SOURCE / "requirements.txt"
EPOCH_S = 315_532_800
"""1980-01-01, the earliest time that a zip file knows."""


def build(target: Path, architectures: list[str]) -> None:
    """Fill `target`, which must be empty or absent."""
    recipe = [REQUIREMENTS, *HERE.glob("*.py"), *HERE.glob("*.toml")]
    libraries = cache.kept(partial(_make_libraries, architectures=architectures), recipe, *architectures)
    shutil.copytree(libraries, target, dirs_exist_ok=True)
    add_ours(SOURCE, target)
    leave_out_unless_imported(target)
    require_everything(target)
    if is_builders():
        compile_ours(target)
    else:
        _say_no_bytecode()
    _settle(target)


def _make_libraries(target: Path, architectures: list[str]) -> None:
    install(REQUIREMENTS, target, architectures)
    leave_out(target)
    for path in target.rglob("*.so"):
        strip(path)
    if is_builders():
        compile_libraries(target, Edits((HERE / "edits.toml").read_text()))


def _say_no_bytecode() -> None:
    """Say so on stdout: of make's stderr SAM shows nothing unless make fails.

    Another Python alone would not make SAM build again what it has in its own cache.
    """
    here = f"{sys.implementation.name} {sys.version_info.major}.{sys.version_info.minor}"
    print(  # noqa: T201 - a build speaks on its console
        f"slotwise: no bytecode in this artefact, so its cold starts take three times as long: the functions run on "
        f"Python {VERSION} and this is {here}. Build with Python {VERSION} (PYTHON=python{VERSION} sam build "
        f"--no-cached) or in SAM's container (sam build --no-cached --use-container).",
        flush=True,
    )


def _settle(target: Path) -> None:
    """Give every file the same time and mode wherever it was built."""
    for path in [target, *sorted(target.rglob("*"))]:
        path.chmod(0o755 if path.is_dir() or path.suffix == ".so" else 0o644)
        os.utime(path, (EPOCH_S, EPOCH_S))


def main() -> None:
    """Read the command line and build."""
    parser = argparse.ArgumentParser(prog="artefact", description=str(__doc__).partition("\n")[0])
    parser.add_argument("target", type=Path, help="an empty or absent directory; SAM's ARTIFACTS_DIR")
    parser.add_argument("--architecture", action="append", choices=sorted(PLATFORMS), help="default: all")
    given = parser.parse_args()
    build(given.target, given.architecture or sorted(PLATFORMS))


main()
