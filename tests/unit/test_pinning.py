"""Which statements would pin a session of RDS Proxy, as a table."""

import pytest

from db.statements.pinning import pinned_by


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("set work_mem = '1MB'", "changes the session"),
        ("prepare p as select 1", "changes the session"),
        ("listen news", "changes the session"),
        ("create temp table t (n int)", "changes the session"),
        ("select pg_advisory_lock(1)", "changes the session"),
        ("declare c cursor with hold for select 1", "changes the session"),
        ("declare c cursor for select 1", "declares a cursor"),
        ("select nextval('records_id_seq')", "sequence"),
        ("select setval ('records_id_seq', 7)", "sequence"),
        ("insert into t values (" + "1" * 16 * 1024 + ")", "16407 bytes, over 16384"),
    ],
)
def test_a_statement_that_pins_is_told_with_its_reason(statement: str, reason: str) -> None:
    """What AWS lists."""
    assert reason in str(pinned_by(statement))


@pytest.mark.parametrize(
    "statement",
    [
        "select 1",
        "insert into records (name) values ('set') returning id",
        "set local statement_timeout = 100",
        "set transaction read only",
        "select set_config('a.b', 'c', true)",
        "select pg_advisory_xact_lock(1)",
    ],
)
def test_what_ends_with_its_transaction_pins_nothing(statement: str) -> None:
    """No false alarm for what is done the right way."""
    assert pinned_by(statement) is None
