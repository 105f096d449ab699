"""Builds what `sam build` deploys, without SAM."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAKE = shutil.which("make") or "make"


def build(target: Path, source: Path, cache: Path) -> Path:
    """Build `source` into `target` as SAM does, keeping the libraries in `cache`."""
    environ = {**os.environ, "ARTEFACT_CACHE": str(cache)}
    command = [MAKE, "--silent", "-C", str(source), "build-RecordsFunction", f"ARTIFACTS_DIR={target}"]
    subprocess.run(command, check=True, env=environ)
    return target
