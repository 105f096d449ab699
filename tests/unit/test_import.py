"""Promise 7: importing the package opens no socket and calls no API."""

import subprocess
import sys
from pathlib import Path

import db

SOURCE = str(Path(db.__file__).parents[1])
"""Wherever these tests have it from: the tree, or the artefact."""

PROGRAM = """
import sys
def forbid(name, args):
    if name in {"socket.connect", "socket.getaddrinfo", "subprocess.Popen"}:
        raise SystemExit(f"import did {name} {args}")
sys.addaudithook(forbid)
from db import Database, DatabaseSettings
Database(DatabaseSettings(secret_id="s")).engine
heavy = {"boto3", "botocore", "aws_lambda_powertools", "pydantic", "sqlalchemy.orm"} & set(sys.modules)
raise SystemExit(f"imported {heavy}" if heavy else 0)
"""


def test_importing_and_building_opens_nothing() -> None:
    """No socket, no name resolved, no program started, none of the heavy libraries."""
    command = [sys.executable, "-B", "-c", PROGRAM]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env={"PYTHONPATH": SOURCE})
    assert done.returncode == 0, done.stderr
