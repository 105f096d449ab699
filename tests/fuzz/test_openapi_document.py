"""Requests that nobody thought of, made out of the OpenAPI document and sent through the local gateway.

`make fuzz` names schemathesis, which has an environment of its own, in SCHEMATHESIS; .schemathesis.toml says what it
does and checks.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from local.stack import Stack, running
from tests.contract.stack import ROOT, routes

CONFIGURATION = ROOT / ".schemathesis.toml"
FUZZING_S = 300
"""More than ten times what it takes on an idle machine."""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Everything that `make run` starts, on a free port."""
    with running() as started:
        yield started


@pytest.fixture(scope="module")
def document(stack: Stack) -> str:
    """Where the document is."""
    return f"{stack.url}/openapi.json"


def test_the_document_names_every_route(document: str) -> None:
    """Of every function: none is left out of what is tried."""
    with urlopen(document, timeout=30) as answer:  # noqa: S310 - the gateway just started
        paths = json.load(answer)["paths"]
    named = {f"{method.upper()} {path}" for path, operations in paths.items() for method in operations}
    assert named == set(routes())


@pytest.mark.timeout(FUZZING_S + 60)
def test_every_answer_is_one_that_the_document_promises(document: str, tmp_path: Path) -> None:
    """Whatever is sent, no answer is a 5xx, or has a status, type or body that the document does not name."""
    command = [os.environ["SCHEMATHESIS"], "--no-color", "--config-file", str(CONFIGURATION), "run", document]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path, timeout=FUZZING_S)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
