"""A site, as the doctor finds it."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from db import DatabaseSettings
from provision.accounts import application_settings
from provision.doctor import examine
from provision.findings import Finding
from tests.provision.conftest import Site

CHECKS = [
    *("rotation", "login", "certificate", "pooler", "clock", "server", "passwords", "role", "privileges"),
    *("limit", "slots", "time-outs", "statements", "migrations", "monitor", "budget"),
]


def settings(site: Site, **changes: Any) -> DatabaseSettings:  # noqa: ANN401 - the settings' own
    return replace(application_settings(site.owner(), site.plan()), **changes)


def look(
    site: Site,
    *,
    now: Callable[[], float] = time.time,
    wish: dict[str, Any] | None = None,
    **changes: Any,  # noqa: ANN401 - the settings' own
) -> dict[str, Finding]:
    """Return the findings by their checks."""
    found = examine(settings(site, **changes), site.plan(**(wish or {})), 10_000, now)
    return {finding.check: finding for finding in found}
