"""`make doctor`: the settings of the environment in, a line a check and an exit status out."""

import json
from pathlib import Path

import pytest
from rich.console import Console

from local.doctor import main, show
from provision.findings import failure
from tests.provision.conftest import Site


@pytest.fixture
def _settings(provisioned: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    url = provisioned.server.url(provisioned.role, provisioned.password, provisioned.name)
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("DB_TLS", "insecure-local-only")


@pytest.mark.usefixtures("_settings")
def test_warnings_count_where_they_shall(capsys: pytest.CaptureFixture[str]) -> None:
    """In clear and without a plan: well enough for a laptop, not for CI that is strict."""
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert "certificate" in shown
    assert "not reckoned: no plan was given" in shown
    assert main(["--strict"]) == 1


@pytest.mark.usefixtures("_settings")
def test_a_plan_gives_the_budget(provisioned: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The plan of a sample event or of one's own."""
    event = tmp_path / "event.json"
    event.write_text(json.dumps({"Plan": provisioned.wish()}))
    assert main(["--plan", str(event), "--json"]) == 0
    found = {finding["check"]: finding for finding in json.loads(capsys.readouterr().out)}
    assert found["budget"]["level"] == "ok"
    event.write_text(json.dumps({"Plan": provisioned.wish(Headroom=100)}))
    assert main(["--plan", str(event)]) == 1


@pytest.mark.parametrize("content", ["{}", "[]", '"Plan"', '{"Plan": {}}', "{", None])
def test_an_event_without_a_plan_is_no_plan(
    content: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever else it is, or where there is none: 2, and a sentence that names the file."""
    event = tmp_path / "event.json"
    if content is not None:
        event.write_text(content)
    assert main(["--plan", str(event)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {event}: ")


def test_a_line_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Brackets of an address or of a path are no markup."""
    show([failure("reach", "nothing at [fd00::1]:5432", "look at [/tmp/x]")], Console(width=100))
    shown = capsys.readouterr().out
    assert "nothing at [fd00::1]:5432" in shown
    assert "look at [/tmp/x]" in shown


def test_settings_that_cannot_be_right_are_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not a traceback."""
    for variable in ("DATABASE_URL", "DB_SECRET_ID", "DB_IAM_USER"):
        monkeypatch.delenv(variable, raising=False)
    assert main(["--json"]) == 1
    (finding,) = json.loads(capsys.readouterr().out)
    assert (finding["check"], finding["level"]) == ("settings", "failure")
