"""Build the functions' artefact from this directory: `python -m artefact TARGET [--architecture x86_64|arm64]`.

`sam build` runs this through the Makefile beside it. The same sources and pins give the same bytes.
"""

import argparse
import os
import sys
from pathlib import Path

from artefact.bytecode import Edits, compile_tree
from artefact.contents import add_ours, leave_out, require_everything
from artefact.elf import strip
from artefact.install import install
from artefact.runtime import PLATFORMS, VERSION, is_builders

SOURCE = Path(__file__).resolve().parents[1]
EPOCH_S = 315_532_800
"""1980-01-01, the earliest time that a zip file knows."""


def build(target: Path, architectures: list[str]) -> None:
    """Fill `target`, which must be empty or absent."""
    target.mkdir(parents=True, exist_ok=True)
    install(SOURCE / "requirements.txt", target, architectures)
    leave_out(target)
    add_ours(SOURCE, target)
    require_everything(target)
    for path in sorted(target.rglob("*.so")):
        strip(path)
    if is_builders():
        compile_tree(target, Edits())
    else:
        _say_no_bytecode()
    _settle(target)


def _say_no_bytecode() -> None:
    here = f"{sys.implementation.name} {sys.version_info.major}.{sys.version_info.minor}"
    print(  # noqa: T201 - a build speaks on its console
        f"slotwise: no bytecode in this artefact, so its cold starts take three times as long: the functions run on "
        f"Python {VERSION} and this is {here}. Build with Python {VERSION} (PYTHON=python{VERSION} sam build) or in "
        f"SAM's container (sam build --use-container).",
        file=sys.stderr,
    )


def _settle(target: Path) -> None:
    """Give every file the same time and mode wherever it was built."""
    for path in [target, *sorted(target.rglob("*"))]:
        path.chmod(0o755 if path.is_dir() or path.suffix == ".so" else 0o644)
        os.utime(path, (EPOCH_S, EPOCH_S))


def main() -> None:
    """Read the command line and build."""
    parser = argparse.ArgumentParser(prog="artefact", description=__doc__.partition("\n")[0])
    parser.add_argument("target", type=Path, help="an empty or absent directory; SAM's ARTIFACTS_DIR")
    parser.add_argument("--architecture", action="append", choices=sorted(PLATFORMS), help="default: all")
    given = parser.parse_args()
    build(given.target, given.architecture or sorted(PLATFORMS))


main()
