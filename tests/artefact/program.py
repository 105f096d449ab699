"""Runs inside the runtime's Python with nothing but the artefact and the runtime's SDK to import from.

Reads a job from stdin, writes the answers as the last line of stdout. Standard library only.
"""

import importlib
import json
import pkgutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PACKAGES = ("db", "handlers", "migrations", "monitor", "provision", "records")


@dataclass
class Context:
    """What Lambda hands to a handler."""

    aws_request_id: str = "0a1b2c3d-0000-4000-8000-000000000000"
    function_name: str = "slotwise"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:123456789012:function:slotwise"

    def get_remaining_time_in_millis(self) -> int:
        """Say how long the invocation may take."""
        return 10_000


def handler_of(path: str) -> Any:  # noqa: ANN401 - any callable, as Lambda
    """Import a handler as Lambda does: `package.module.function`."""
    module, _, function = path.rpartition(".")
    return getattr(importlib.import_module(module), function)


def invoke(job: dict[str, Any]) -> list[Any]:
    """Migrate where asked to, then invoke each event with its handler, in one environment."""
    if job["migrates"]:
        migrations, environment = (importlib.import_module(name) for name in ("migrations", "handlers.environment"))
        migrations.upgrade(environment.database.engine)
    return [handler_of(handler)(event, Context()) for handler, event in job["invocations"]]


def import_all(_job: dict[str, Any]) -> list[str]:
    """Import every module of ours; return where each came from. Alembic itself loads env and versions."""
    found = [
        name
        for package in PACKAGES
        for _, name, _ in pkgutil.walk_packages([f"{sys.path[0]}/{package}"], f"{package}.")
        if name != "migrations.env"
    ]
    return [str(importlib.import_module(name).__file__) for name in found]


def import_libraries(_job: dict[str, Any]) -> dict[str, str]:
    """Import every module of the libraries; return why, where one could not be."""
    artefact, failed = Path(sys.path[0]), {}
    for path in sorted(artefact.rglob("*.pyc")):
        parts = path.relative_to(artefact).with_suffix("").parts
        if parts[0] not in PACKAGES:
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            try:
                importlib.import_module(name)
            except Exception as error:  # noqa: BLE001 - whatever a module does
                failed[name] = f"{type(error).__name__}: {error}"
    return failed


def session(_job: dict[str, Any]) -> list[Any]:
    """Write a row by the ORM and read it back in another session."""
    from sqlalchemy import Integer, select
    from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

    class Base(DeclarativeBase):
        pass

    class Note(Base):
        __tablename__ = "artefact_notes"
        id: Mapped[int] = mapped_column(Integer, primary_key=True)
        text: Mapped[str]

    database = importlib.import_module("handlers.environment").database
    Base.metadata.create_all(database.engine)
    try:
        with database.session() as orm:
            orm.merge(Note(id=1, text="kept"))
        with database.session() as orm:
            return list(orm.scalars(select(Note.text)))
    finally:
        Base.metadata.drop_all(database.engine)


def load(job: dict[str, Any]) -> dict[str, Any]:
    """Import a handler, invoke it; return the modules that there were after each, and the megabytes in memory then."""
    handler = handler_of(job["handler"])
    imported = sorted(sys.modules)
    answers = [handler(event, Context()).get("statusCode") for event in job["events"]]
    carried = [name for name in sys.modules if str(getattr(sys.modules[name], "__file__", "")).startswith(sys.path[0])]
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    resident_mb = int(status["VmRSS"].split()[0]) / 1024
    invoked = sorted(sys.modules)
    return {
        "imported": imported,
        "invoked": invoked,
        "carried": len(carried),
        "answers": answers,
        "resident_mb": resident_mb,
    }


if __name__ == "__main__":
    sys.path[:0] = sys.argv[2:]
    sys.stdout.write("\n" + json.dumps(globals()[sys.argv[1]](json.load(sys.stdin))))
