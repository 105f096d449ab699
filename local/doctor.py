"""`python -m local.doctor`: looks at the database that the DB_* variables (or DATABASE_URL) log in to; changes nothing.

    DATABASE_URL=postgres://user:password@127.0.0.1/name DB_TLS=insecure-local-only make doctor
    DB_SECRET_ID=arn:... make doctor PLAN=events/provision/doctor.json   # with the budget of that plan

Exits with 1 where a line is a failure, with `--strict` also where one is a warning.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from db import ConfigurationError, DatabaseSettings
from provision.checks import of_refusal
from provision.doctor import examine
from provision.errors import PlanError
from provision.findings import Finding, Level, worst
from provision.plan import Plan, read_plan

STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.FAILURE: "bold red"}
REMAINING_MS = 30_000.0


def findings(plan: Plan | None) -> list[Finding]:
    """Return all lines on the database of the environment's settings."""
    try:
        settings = DatabaseSettings.from_env()
    except ConfigurationError as error:
        return [of_refusal(error)]
    return examine(settings, plan, REMAINING_MS)


def show(found: Sequence[Finding], console: Console) -> None:
    """Print a line a check."""
    table = Table(box=SIMPLE_HEAD)
    for name in ("check", "", "finding", "what to do"):
        table.add_column(name, overflow="fold")
    for finding in found:
        level = Text(finding.level, STYLES[finding.level])
        table.add_row(finding.check, level, Text(finding.says), Text(finding.advice))  # no markup: [x] is a text's own
    console.print(table)


def plan_in(file: Path) -> Plan:
    """Read the plan of an event; raise OSError, ValueError or PlanError where there is none."""
    event = json.loads(file.read_text())
    if not isinstance(event, dict) or "Plan" not in event:
        raise PlanError("an event has a Plan, and this has none")
    return read_plan(event["Plan"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m local.doctor", description="Examines the database.")
    parser.add_argument("--plan", type=Path, help="an event of events/provision whose plan the budget is reckoned from")
    parser.add_argument("--strict", action="store_true", help="let a warning be a failure")
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    given = parser.parse_args(arguments)
    try:
        plan = plan_in(given.plan) if given.plan else None
    except (OSError, ValueError, PlanError) as error:
        print(f"error: {given.plan}: {error}", file=sys.stderr)
        return 2
    found = findings(plan)
    if given.json:
        print(json.dumps([asdict(finding) for finding in found], indent=2))
    else:
        show(found, Console(width=None if sys.stdout.isatty() else 160))
    unwanted = {Level.FAILURE, Level.WARNING} if given.strict else {Level.FAILURE}
    return 1 if worst(found) in unwanted else 0


if __name__ == "__main__":
    sys.exit(main())
