"""Which of the suite's tests apply: all. What PostgreSQL cannot do fails for both dialects, and counts for neither."""

from typing import Any

from sqlalchemy.testing import exclusions
from sqlalchemy.testing.requirements import SuiteRequirements


def _open(_self: object) -> Any:  # noqa: ANN401 - the suite's own kind of rule
    return exclusions.open()  # type: ignore[no-untyped-call]  # SQLAlchemy's testing has no types


def _is_closed(name: str) -> bool:
    """Say whether SuiteRequirements leaves the feature to the dialect to claim."""
    declared = getattr(SuiteRequirements, name)
    if not (isinstance(declared, property) and declared.fget):
        return False
    rule = declared.fget(SuiteRequirements())
    return isinstance(rule, exclusions.compound) and bool(rule.skips or rule.fails)


CLAIMED = [name for name in dir(SuiteRequirements) if not name.startswith("_") and _is_closed(name)]

Requirements = type("Requirements", (SuiteRequirements,), dict.fromkeys(CLAIMED, property(_open)))
"""SuiteRequirements with all claimed that it lets a dialect claim."""
