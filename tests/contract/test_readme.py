"""The README and the changelog say what the code does."""

import json
import re

from bench.coldstart.report import render, summary
from handlers.admission import MAX_BODY_BYTES, MAX_DEPTH
from handlers.models import MAX_AT_ONCE, MAX_PAGE, MAX_PAYLOAD_BYTES, NewRecord
from local.tables import rendered
from records import NAME_MAX_LENGTH
from tests.contract.stack import ROOT, routes, template

README = (ROOT / "README.md").read_text()
SENT = "".join((ROOT / "src" / "handlers" / name).read_text() for name in ("telemetry.py", "gauges.py"))
METRIC = re.compile(r'"([A-Z][a-z]+(?:[A-Z][a-z]+)*)"')
UNITS = {"Count", "Milliseconds", "Seconds"}


def _section(title: str) -> str:
    (section,) = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", README, re.DOTALL | re.MULTILINE)
    text: str = section
    return text


def test_the_settings_table_is_the_codes() -> None:
    """Each variable with its default and meaning, as declared in db/settings.py."""
    assert rendered(README) == README, "run `make tables`"


def test_the_metrics_table_names_what_is_sent() -> None:
    """Whoever builds an alarm finds the metric under the name that the table has."""
    rows = re.findall(r"^\| (`.+`) \| (\w+) \| .+ \|$", _section("Metrics"), re.MULTILINE)
    assert {name for names, _ in rows for name in re.findall(r"\w+", names)} == set(METRIC.findall(SENT))
    assert {unit for _, unit in rows} <= UNITS


def test_the_routes_table_names_every_route() -> None:
    """No route is there that the README does not explain, and none is explained that is not there."""
    explained = re.findall(r"^\| `([A-Z]+ [^`?]+)", _section("The API"), re.MULTILINE)
    assert sorted(explained) == sorted(routes())


def test_the_limits_that_a_client_meets_are_the_codes() -> None:
    """What the README allows is let in, and no more."""
    kib, mib = 1024, 1024 * 1024
    said = (
        f"A name has 1 to {NAME_MAX_LENGTH} characters, a payload {MAX_PAYLOAD_BYTES // kib} KiB, a body "
        f"{MAX_BODY_BYTES // mib} MiB and a depth of {MAX_DEPTH}, a page 1 to {MAX_PAGE} records."
    )
    assert said in " ".join(_section("The API").split())
    assert f"up to {MAX_AT_ONCE} in one transaction" in _section("The API")


def test_the_document_says_the_limits_that_no_type_has() -> None:
    """A payload's size and depth are in the schema's words."""
    words = NewRecord.model_json_schema()["properties"]["payload"]["description"]
    assert f"{MAX_PAYLOAD_BYTES} bytes" in words
    assert f"{MAX_DEPTH} deep" in words


def test_the_cold_starts_table_is_the_benchs() -> None:
    """Its figures are those of the last run that was kept."""
    measured = json.loads((ROOT / "bench" / "coldstart.json").read_text())
    assert "\n".join(summary(measured)) in _section("Round trips")
    assert render(measured) == (ROOT / "bench" / "coldstart.md").read_text()


def test_the_layout_names_what_is_there() -> None:
    """A newcomer finds each folder of the sources in the layout, and each of those that it names."""
    named = set(re.findall(r"^(\S+)/ ", _section("Layout"), re.MULTILINE))
    assert all((ROOT / folder).is_dir() for folder in named)
    sources = {f"src/{path.name}" for path in (ROOT / "src").iterdir() if (path / "__init__.py").exists()}
    assert sources | {"events", "local", "bench", "tests"} == named


def test_every_make_target_that_is_named_exists() -> None:
    """What the README tells to type works."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    typed = " ".join(re.findall(r"(?:^\$ |`)make ([a-z -]+)", README, re.MULTILINE)).split()
    assert set(typed) <= targets


def test_the_readme_is_short_enough_to_be_read() -> None:
    """What is longer belongs to the code."""
    assert len(README.splitlines()) < 250


def test_the_changelog_has_a_place_for_what_is_not_released() -> None:
    """In the form of keepachangelog.com, for those who operate this."""
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert re.search(
        r"^## \[Unreleased\]\n\n### (Added|Changed|Deprecated|Removed|Fixed|Security)\n", changelog, re.MULTILINE
    )


def test_the_guide_names_parameters_and_alarms_that_exist() -> None:
    """What the guide tells to set can be set, and what it promises to make is made."""
    guide = (ROOT / "DEPLOYING.md").read_text()
    set_there = set(re.findall(r"\b([A-Z][a-z]+(?:[A-Z][a-z]+)+)(?==)", guide)) | set(
        re.findall(r"`([A-Z]\w+)`", guide)
    )
    named = (*template()["Parameters"], *template()["Outputs"], *template()["Resources"])
    assert set_there <= {*named, "AllAtOnce"}
