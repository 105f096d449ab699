"""AWS's Runtime Interface Emulator, taken once out of the aws-sam-cli wheel. Knows nothing of functions.

https://github.com/aws/aws-lambda-runtime-interface-emulator
"""

import hashlib
import platform
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).parents[1]
CACHE = ROOT / ".cache"
REQUIREMENT = ROOT / "requirements" / "rie.txt"
"""Version and hash of the wheel."""

SHA256: Mapping[str, str] = MappingProxyType(
    {
        "x86_64": "6b1e686e62ab2baf5759c412c4864276ef2a88b094fca53ec070637ccba9b9a5",
        "arm64": "ec2e5d09633d853834c008b1ef264bf834b258a94d551d2b2074966494b39a21",
    }
)
"""By architecture, in Lambda's names, what the program in that wheel must be."""


class EmulatorError(RuntimeError):
    """The emulator's program cannot be had on this machine."""


def rie_program(cache: Path = CACHE) -> Path:
    """Return the program's path; fetch it where it is not there yet. Raises EmulatorError."""
    architecture = _architecture(platform.machine())
    program = cache / f"aws-lambda-rie-{architecture}-{SHA256[architecture][:16]}"
    if not program.exists():
        _install(_fetch(architecture), architecture, program)
    return program


def _architecture(machine: str) -> str:
    """Return Lambda's name for what uname calls `machine`."""
    name = {"amd64": "x86_64", "aarch64": "arm64"}.get(machine.lower(), machine)
    if name not in SHA256:
        raise EmulatorError(f"the Runtime Interface Emulator runs on {' and '.join(SHA256)}, not on {machine}")
    return name


def _fetch(architecture: str) -> bytes:
    """Return the program out of the wheel, which pip gets and checks."""
    with tempfile.TemporaryDirectory() as folder:
        options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "--only-binary=:all:"]
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            *options,
            f"--dest={folder}",
            f"--requirement={REQUIREMENT}",
        ]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            raise EmulatorError(f"the Runtime Interface Emulator cannot be fetched: {_last_line(done.stderr)}")
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            return archive.read(f"samcli/local/rapid/aws-lambda-rie-{architecture}")


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["pip failed"])[-1]


def _install(content: bytes, architecture: str, program: Path) -> None:
    """Put the program in its place in one step, so that nobody ever runs half of it."""
    if hashlib.sha256(content).hexdigest() != SHA256[architecture]:
        raise EmulatorError(f"the Runtime Interface Emulator in {REQUIREMENT.name} is not the one that was checked")
    program.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=program.parent, delete=False) as file:
        file.write(content)
    Path(file.name).chmod(0o755)
    Path(file.name).replace(program)
