"""SQLAlchemy's dialect compliance suite, over our dialect and the stock one, at the same time and on one server.

What the suite checks: https://github.com/sqlalchemy/sqlalchemy/blob/main/README.dialects.rst
"""

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from pg8000 import dbapi

from local.postgres import PostgresServer

ROOT = Path(__file__).parents[2]
SUITE = Path(__file__).with_name("suite")
DIALECTS = {"stock": "postgresql+pg8000", "ours": "postgresql+slotwise"}
AT_LEAST = 1500
"""How many tests the stock dialect passes at least: fewer, and the suite did not run as it should."""


@pytest.mark.timeout(1500)
def test_every_test_that_the_stock_dialect_passes_ours_passes(tmp_path: Path) -> None:
    """Core, types, reflection, transactions: what works with pg8000's dialect works with ours."""
    with PostgresServer(tmp_path / "data", "secret", settings={"max_prepared_transactions": "10"}) as server:
        runs = {name: _start(server, name, tmp_path) for name in DIALECTS}
        said = {name: run.communicate()[0] for name, run in runs.items()}
    passed = {name: _passed(tmp_path / f"{name}.xml", said[name]) for name in DIALECTS}
    assert len(passed["stock"]) > AT_LEAST, said["stock"][-2000:]
    assert sorted(passed["stock"] - passed["ours"]) == []


def _start(server: PostgresServer, name: str, directory: Path) -> subprocess.Popen[str]:
    _run(server, "postgres", f"create database {name}")
    _run(server, name, "create schema test_schema")
    url = server.url(database=name).replace("postgresql", DIALECTS[name], 1)
    options = ["-c", str(SUITE / "setup.cfg"), "--rootdir", str(SUITE), "--tb=no", "--quiet", f"--dburi={url}"]
    report = f"--junit-xml={directory / name}.xml"
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", *options, report, str(SUITE / "test_suite.py")],
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _run(server: PostgresServer, database: str, statement: str) -> None:
    connection = dbapi.connect("postgres", "127.0.0.1", database, server.port, server.password)
    connection.autocommit = True
    connection.cursor().execute(statement)
    connection.close()


def _passed(report: Path, said: str) -> set[str]:
    """Return the names of the tests that passed, without what names the dialect or the server's version."""
    assert report.exists(), said[-2000:]
    cases = ET.parse(report).iter("testcase")  # noqa: S314 - written by the pytest that we ran
    return {_name(case) for case in cases if not len(case)}


def _name(case: ET.Element) -> str:
    return re.sub(r"postgresql\+\w+|_postgresql\w*", "", f"{case.get('classname')}::{case.get('name')}")
