"""The forms that code is deployed in: ours, and what `sam build` makes without a build method."""

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

from artefact.runtime import VERSION

ROOT = Path(__file__).parents[2]
SAM = str(ROOT / ".venv-sam" / "bin" / "sam")
SDK = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six.py", "urllib3")
"""What Lambda's Python runtime has beside the standard library."""

PLAIN_TEMPLATE = f"""
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Resources:
  Plain:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: {ROOT / "src"}
      Handler: handlers.records.handler
      Runtime: python{VERSION}
"""


def python() -> Path:
    """Return the runtime's Python."""
    return ROOT / f".venv-{VERSION}" / "bin" / "python"


def ours(target: Path) -> Path:
    """Build as template.yaml does."""
    command = [
        shutil.which("make") or "make",
        "--silent",
        "-C",
        str(ROOT / "src"),
        "build-RecordsFunction",
        f"ARTIFACTS_DIR={target}",
    ]
    subprocess.run(command, check=True)
    return target


def plain(target: Path) -> Path:
    """Build with SAM's own builder for Python, and put the usual handler into it."""
    template = target.with_suffix(".yaml")
    template.write_text(PLAIN_TEMPLATE)
    environ = {**os.environ, "SAM_CLI_TELEMETRY": "0", "PATH": f"{python().parent}:{os.environ['PATH']}"}
    command = [SAM, "build", "--template", str(template), "--build-dir", str(target), "--base-dir", str(ROOT)]
    subprocess.run(command, check=True, env=environ, capture_output=True)
    shutil.copy(Path(__file__).with_name("usual.py"), target / "Plain" / "usual.py")
    return target / "Plain"


def sdk(target: Path) -> Path:
    """Lay out the runtime's SDK, with its bytecode."""
    site = ROOT / f".venv-{VERSION}" / "lib" / f"python{VERSION}" / "site-packages"
    target.mkdir()
    for name in SDK:
        (target / name).symlink_to(site / name)
    return target


def zipped_bytes(form: Path) -> int:
    """Return what the form weighs as it is uploaded."""
    path = form.parent / "form.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(form.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(form))
    size = path.stat().st_size
    path.unlink()
    return size
