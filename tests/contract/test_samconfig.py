"""What samconfig.toml deploys: parameters that exist, and that go together."""

import re
import tomllib
from typing import Any

import pytest

from local.budget import overrides
from tests.contract.stack import ROOT, template

SAMCONFIG = tomllib.loads((ROOT / "samconfig.toml").read_text())
EXAMPLES = re.findall(r"^```toml\n(.*?)^```", (ROOT / "DEPLOYING.md").read_text(), re.DOTALL | re.MULTILINE)
SECONDS_A_REQUEST = 0.1
"""What the template takes a request for (ThrottleRate)."""


@pytest.mark.parametrize("environment", [None, "default", "prod"])
def test_throttling_goes_with_the_concurrency(environment: str | None) -> None:
    """As many requests a second as the environments can serve, and twice as many at once: template, dev and prod."""
    given = {name: str(declared["Default"]) for name, declared in template()["Parameters"].items()}
    given |= overrides(SAMCONFIG, environment) if environment else {}
    concurrency = int(given["RecordsConcurrency"])
    assert int(given["ThrottleRate"]) == concurrency / SECONDS_A_REQUEST
    assert int(given["ThrottleBurst"]) == 2 * concurrency


@pytest.mark.parametrize("environment", ["default", "prod"])
def test_what_is_set_can_be_set(environment: str) -> None:
    """A mistyped parameter fails the deployment; here it fails before."""
    assert set(overrides(SAMCONFIG, environment)) <= set(template()["Parameters"])


@pytest.mark.parametrize("example", EXAMPLES)
def test_what_the_documents_set_is_taken(example: str) -> None:
    """Each example is TOML, of parameters that exist, with values that they take."""
    given = overrides(tomllib.loads(example), "prod")
    assert given
    for name, value in given.items():
        assert re.fullmatch(_declared(name).get("AllowedPattern", ".*"), value), name


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("rds", True),
        ("system", True),
        ("-----BEGIN CERTIFICATE-----\nMIID\n-----END CERTIFICATE-----\n", True),
        ("-----BEGIN CERTIFICATE-----\nMIID\n-----END CERTIFICATE-----\n" * 2, True),
        ("-----BEGIN", False),
        ("-----BEGIN CERTIFICATE-----\nMIID", False),
        ("system ", False),
        ("", False),
    ],
)
def test_a_certificate_that_was_cut_is_refused(text: str, taken: bool) -> None:  # noqa: FBT001 - a table's column
    """Before anything is made: SAM ends a value without quotes at its first blank."""
    assert bool(re.fullmatch(_declared("DatabaseAuthorities")["AllowedPattern"], text)) is taken


def _declared(parameter: str) -> dict[str, Any]:
    declared: dict[str, Any] = template()["Parameters"][parameter]
    return declared
