"""What the Lambda runtime is: its Python, its processors, and what it brings along."""

import sys

PYTHON = (3, 13)
"""The template's `Runtime`; a test compares them."""
VERSION = ".".join(map(str, PYTHON))

PLATFORMS = {"x86_64": "x86_64", "arm64": "aarch64"}
"""From Lambda's names of the processors to the wheels'."""

PROVIDED = frozenset({"boto3", "botocore", "s3transfer", "snapshot_restore_py", "urllib3"})
"""Distributions that the runtime has, and that change with it.
https://docs.aws.amazon.com/lambda/latest/dg/lambda-python.html
"""


def is_builders() -> bool:
    """Say whether this Python writes bytecode that the runtime's reads."""
    return sys.version_info[:2] == PYTHON and sys.implementation.name == "cpython"
