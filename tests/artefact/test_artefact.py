"""What `sam build` made is whole: it is what Lambda gets, and the tree's tests say nothing about it."""

import json
from pathlib import Path

from artefact.runtime import PROVIDED
from tests.artefact.conftest import Run

ROOT = Path(__file__).parents[2]
EVENTS = ROOT / "events"
INDEX = json.loads((EVENTS / "index.json").read_text())
OURS = {"db", "handlers", "migrations", "monitor", "provision", "records"}

CANNOT_BE_IMPORTED = {
    "aws_lambda_powertools.event_handler.middlewares.schema_validation": "needs utilities.validation, which needs a "
    "library that is not in the lock; who imports it gets both",
    "dateutil.tz.win": "Windows",
    "dateutil.tzwin": "Windows",
    "sqlalchemy.dialects.postgresql.provision": "makes databases for SQLAlchemy's own tests, which are left out",
}
"""Modules of the libraries, with the reason for each."""


def _invocation(sample: str) -> tuple[str, object]:
    function = Path(sample).parent.name
    return f"handlers.{function}.handler", json.loads((EVENTS / sample).read_text())


def test_every_sample_event_is_answered_out_of_the_artefact(run: Run) -> None:
    """The runtime's Python, the artefact and the SDK alone: secret fetched, schema migrated, answers as told."""
    invocations = [_invocation(sample["event"]) for sample in INDEX]
    answers = run("invoke", {"migrates": True, "invocations": invocations})
    assert [answer.get("statusCode") for answer in answers] == [sample["status"] for sample in INDEX]


def test_the_artefact_refuses_a_server_of_an_unknown_authority(run: Run) -> None:
    """As deployed, with nothing set: TLS verified, or a 503; RDS's authorities are in the artefact."""
    (answer,) = run("invoke", {"migrates": False, "invocations": [_invocation("health/get.json")]}, DB_TLS="")
    assert answer["statusCode"] == 503


def test_every_module_can_be_imported_from_the_artefact(run: Run, artefact: Path) -> None:
    """Nothing is missing, and nothing comes from elsewhere."""
    files = run("import_all", {})
    assert all(file.startswith(str(artefact)) for file in files)
    tree = {str(path.relative_to(ROOT / "src")) for name in OURS for path in (ROOT / "src" / name).rglob("*.py")}
    assert tree <= {str(path.relative_to(artefact)) for path in artefact.rglob("*.py")}


def test_every_module_of_the_libraries_can_be_imported_from_the_artefact(run: Run) -> None:
    """What is left out of a library, or moved, or cut, is missed by nothing that is left in it."""
    failed = run("import_libraries", {})
    assert set(failed) == set(CANNOT_BE_IMPORTED), failed


def test_a_session_writes_and_reads_out_of_the_artefact(run: Run) -> None:
    """The ORM, which no function of ours loads, is whole for who wants it."""
    assert run("session", {}) == ["kept"]


def test_the_artefact_carries_our_packages_and_the_locks(artefact: Path) -> None:
    """No test, no tool, no file of this machine goes to Lambda."""
    lines = (ROOT / "src" / "requirements.txt").read_text().splitlines()
    pins = [line.split(" ")[0] for line in lines if "==" in line]
    locked = {pin.replace("-", "_") for pin in pins if pin.partition("==")[0] not in PROVIDED}
    distributions = {path.name.removesuffix(".dist-info").replace("-", "==") for path in artefact.glob("*.dist-info")}
    assert distributions == locked
    in_tree = {path.name for path in (ROOT / "src").iterdir() if path.is_dir()} - {"__pycache__"}
    assert in_tree == OURS | {"artefact"}
    assert not (artefact / "artefact").exists()
