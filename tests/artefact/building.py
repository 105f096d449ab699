"""Builds what `sam build` deploys, and the runtime's Python with all that the tests need."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from artefact.runtime import is_builders

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
MAKE = shutil.which("make") or "make"


def build(target: Path, source: Path = ROOT / "src", cache: Path = CACHE / "artefact") -> Path:
    """Build into `target` as SAM does."""
    environ = {**os.environ, "ARTEFACT_CACHE": str(cache)}
    command = [MAKE, "--silent", "-C", str(source), "build-RecordsFunction", f"ARTIFACTS_DIR={target}"]
    subprocess.run(command, check=True, env=environ)
    return target


def runtime_python() -> Path:
    """Return an interpreter of the runtime's version; its packages are installed once for each lock."""
    if is_builders():
        return Path(sys.executable)
    lock = ROOT / "requirements" / "dev.txt"
    home = CACHE / f"runtime-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    python = home / "bin" / "python"
    if not (home / "ready").exists():
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "-q", "--clear", "--python", builder(), str(home)], check=True)
        options = ["-q", "--no-deps", "--require-hashes", "--system-certs", "--python", str(python)]
        subprocess.run([*uv, "pip", "install", *options, "-r", str(lock)], check=True)
        (home / "ready").touch()
    return python


def builder() -> str:
    """Return the Python that src/Makefile has found."""
    command = [MAKE, "--silent", "-C", str(ROOT / "src"), "python"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
