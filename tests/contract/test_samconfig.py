"""What samconfig.toml deploys: parameters that exist, and that go together."""

import tomllib

import pytest

from local.budget import overrides
from tests.contract.stack import ROOT, template

SAMCONFIG = tomllib.loads((ROOT / "samconfig.toml").read_text())
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
