"""What a survey means, as tables: what was slow, what is worth a warning."""

from typing import Any

import pytest

from db.statements.fingerprint import fingerprint
from monitor import Survey, Watch, changes_since, warnings
from monitor.survey import Session, Statement, Table
from monitor.verdicts import Changes, largest

WATCH = Watch(longest_function_s=20, big_table_rows=1000)
LEFT = Session(pid=1, role="app", application="api", state="idle in transaction", transaction_s=21, ended=True)
QUIET: dict[str, Any] = {
    "database": "shop",
    "role": "watcher",
    "slots_used": 5,
    "slots_usable": 10,
    "connections": (),
    "oldest_transaction_s": 1,
    "longest_statement_s": 1,
    "blocked": 0,
    "transaction_id_age": 1000,
    "dead_rows": 0,
    "left_behind": (),
    "big_tables": (),
    "statements": (),
    "statements_in": "public",
}


def seen(**changes: object) -> Survey:
    return Survey(**{**QUIET, **changes})


def statement(number: int, calls: int, total_ms: float) -> Statement:
    return Statement(id=str(number), text="select $1", calls=calls, total_ms=total_ms)


@pytest.mark.parametrize(
    ("before", "now", "slow"),
    [
        (None, [statement(1, 1, 900)], []),
        ((), [statement(1, 1, 900)], [statement(1, 1, 900)]),
        ([statement(1, 10, 9000)], [statement(1, 10, 9000)], []),
        ([statement(1, 10, 9000)], [statement(1, 12, 9100)], []),
        ([statement(1, 10, 100)], [statement(1, 11, 1100)], [statement(1, 1, 1000)]),
        ([statement(1, 10, 9000)], [statement(1, 1, 900)], []),
        (
            (),
            [statement(1, 1, 600), statement(2, 2, 1400)],
            [statement(2, 2, 1400), statement(1, 1, 600)],
        ),
    ],
)
def test_slow_is_who_was_slow_since_the_last_look(before: Any, now: Any, slow: list[Statement]) -> None:  # noqa: ANN401 - a table
    """Not who was slow a week ago; after a reset of the statistics nobody is."""
    assert list(changes_since(seen(statements=before), seen(statements=now), WATCH).slow) == slow


def table(name: str, scans: int, live: int = 1000, dead: int = 0) -> Table:
    return Table(name=name, live=live, dead=dead, full_scans=scans)


def test_a_full_scan_is_told_once_and_of_big_tables_only() -> None:
    """One that was not big before is not blamed for what it did when it was small."""
    before = seen(big_tables=(table("a", 5), table("b", 5), table("c", 5, live=10, dead=990)))
    now = seen(big_tables=(table("a", 7), table("b", 5), table("c", 9, live=10, dead=990), table("d", 3)))
    assert list(changes_since(before, now, WATCH).scanned) == [table("a", 2)]


def test_the_first_look_tells_no_changes() -> None:
    """Nothing is known of the time before."""
    now = seen(statements=(statement(1, 1, 900),), big_tables=(table("a", 5),))
    assert changes_since(None, now, WATCH) == Changes()


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        ({}, None),
        ({"slots_used": 8}, None),
        ({"slots_used": 9}, "9 of 10 slots are taken"),
        ({"oldest_transaction_s": 21}, "a transaction is 21 s old, longer than any function runs"),
        ({"longest_statement_s": 61}, "a statement runs for 61 s now, over 60 s"),
        ({"left_behind": (LEFT,)}, None),
        (
            {"left_behind": (LEFT, LEFT.model_copy(update={"ended": False}))},
            "1 sessions of dead environments stay: grant pg_signal_backend to watcher",
        ),
        ({"blocked": 2}, "2 sessions wait for locks"),
        (
            {"transaction_id_age": 600_000_000},
            "the oldest rows are 600000000 transactions old: VACUUM must freeze them before 2^31",
        ),
        ({"big_tables": (table("a", 0, live=800, dead=200),)}, None),
        (
            {"big_tables": (table("a", 0, live=700, dead=300),)},
            "300 of 1000 rows of a are dead: autovacuum falls behind",
        ),
    ],
)
def test_a_warning_has_the_number_and_its_limit(change: dict[str, Any], warning: str | None) -> None:
    """And there is none at the limit itself."""
    assert warnings(seen(**change), Changes(), WATCH) == ([warning] if warning else [])


def test_changes_are_worth_warnings_too() -> None:
    """Each names what is to blame."""
    changes = Changes(slow=(statement(7, 2, 3000),), scanned=(table("a", 4),))
    assert warnings(seen(), changes, WATCH) == [
        f"statement {fingerprint('select ?')} took 1500 ms on average in 2 calls",
        "a, 1000 rows, was read as a whole 4 times",
    ]


def test_a_dimension_has_few_values() -> None:
    """The largest keep their names, the others are summed."""
    counts = [("a", 1), ("b", 5), ("a", 2), ("c", 2), ("d", 1)]
    assert largest(counts, 2) == {"b": 5, "a": 3, "other": 3}
    assert largest(counts, 4) == {"b": 5, "a": 3, "c": 2, "d": 1}
