"""`python -m local.budget`: the budget of a template and its parameters, with the sum shown; no AWS, no database.

    make budget SLOTS=97 # what samconfig.toml deploys by default
    PYTHONPATH=src python -m local.budget --slots 97 --config-env prod
    PYTHONPATH=src python -m local.budget --slots 97 --parameter PoolSize=2 RecordsConcurrency=40

Exits with 1 where the fleet does not fit, with 2 where it cannot be reckoned: a name that nothing has is no default. A
deployment asks the same of the server itself. Neither limits a fleet behind a pooler or proxy (ConnectionMode).
"""

import argparse
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from local.template import ROOT, Template
from provision.budget import Budget, Ceiling
from provision.plan import Share

POOL_SIZE = "DB_POOL_SIZE"
DEFAULT = "default"
SLOTS_WANTED = (
    "say how many slots there are, max_connections less what is reserved: make budget SLOTS=97, or --slots 97"
)


def budget_of(template: Template, headroom: int, slots: int) -> Budget:
    """Return the sum over all functions of the template against a server of `slots` usable slots."""
    shares = [
        Share(
            function=function.name,
            environments=function.concurrency,
            pool_size=int(function.variables.get(POOL_SIZE, "1")),
        )
        for function in template.functions().values()
    ]
    is_direct = template.parameter("ConnectionMode") in {None, "direct"}
    return Budget(shares, headroom, [Ceiling("the server", slots)] if is_direct else [])


def overrides(samconfig: Mapping[str, Any], environment: str) -> dict[str, str]:
    """Return what `sam deploy --config-env ENVIRONMENT` would set; raise ValueError where there is no such one."""
    if environment != DEFAULT and not isinstance(samconfig.get(environment), Mapping):
        raise ValueError(f"samconfig.toml has no environment {environment}")
    given = samconfig.get(environment, {}).get("deploy", {}).get("parameters", {}).get("parameter_overrides", [])
    return pairs(given.split() if isinstance(given, str) else given)


def pairs(texts: Sequence[str]) -> dict[str, str]:
    """Read `Name=value` texts; raise ValueError for what is none."""
    if wrong := [text for text in texts if "=" not in text]:
        raise ValueError(f"{wrong[0]} is not Name=value")
    return {name: value.strip('"') for name, _, value in (text.partition("=") for text in texts)}


def show(budget: Budget, console: Console) -> None:
    """Print the sum as a table, and what comes of it."""
    table = Table(box=SIMPLE_HEAD, title="Connections at most", title_justify="left")
    table.add_column("function")
    table.add_column("environments x processes x pool size")
    table.add_column("connections", justify="right")
    for what, reckoned, connections in budget.rows():
        table.add_row(what, reckoned, str(connections))
    console.print(table)
    for verdict in budget.verdicts():
        console.print(verdict, style=None if budget.fits else "bold red", highlight=False, soft_wrap=True)


def _reckoned(given: argparse.Namespace) -> Budget:
    """Return the sum that is asked for; raise ValueError, with a sentence, where that cannot be reckoned."""
    if given.slots is None:
        raise ValueError(SLOTS_WANTED)
    samconfig = given.template.with_name("samconfig.toml")
    configured = overrides(tomllib.loads(samconfig.read_text()) if samconfig.exists() else {}, given.config_env)
    parameters = {**configured, **pairs(given.parameter)}
    template = Template(given.template, **parameters)
    if unknown := parameters.keys() - template.parameters:
        raise ValueError(f"{given.template.name} has no parameter {', '.join(sorted(unknown))}")
    return budget_of(template, int(str(template.parameter("Headroom") or 0)), given.slots)


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the exit status: 0 where the fleet fits."""
    parser = argparse.ArgumentParser(prog="python -m local.budget", description="Reckons the fleet's connections.")
    parser.add_argument("template", nargs="?", type=Path, default=ROOT / "template.yaml")
    parser.add_argument("--slots", type=int, help="max_connections less what is reserved")
    parser.add_argument("--config-env", default=DEFAULT, help="the part of samconfig.toml to take parameters from")
    parser.add_argument("--parameter", nargs="*", default=[], metavar="NAME=VALUE", help="parameters that go before it")
    given = parser.parse_args(arguments)
    try:
        budget = _reckoned(given)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    show(budget, Console(width=None if sys.stdout.isatty() else 120))
    return 0 if budget.fits else 1


if __name__ == "__main__":
    sys.exit(main())
