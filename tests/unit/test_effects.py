"""What a statement may do, told by its text, as tables."""

import pytest

from db.recovery.effects import asks_read_only, goes_back, may_act_late, may_end_transaction, only_reads


@pytest.mark.parametrize(
    "statement",
    [
        "select 1",
        " SELECT a, count(*) FROM t WHERE b IN (%s, %s) GROUP BY a HAVING max(c) > 1 ORDER BY lower(a)",
        "select cast(a as varchar(10)) from t",
        "select 1 where exists (select 2)",
        "table t",
        "show server_version",
        "set work_mem = '1MB'",
        "reset all",
        "DISCARD ALL",
        "declare c cursor for select my_function()",
        "rollback to savepoint a",
        "listen news",
        "select set_config('app.user', 'x', false)",
        "select pg_advisory_lock(1)",
    ],
)
def test_what_changes_its_session_at_most_only_reads(statement: str) -> None:
    """A SELECT with operators and functions that write nothing, and settings."""
    assert only_reads(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "insert into t values (1)",
        "update t set a = 1",
        "with gone as (delete from t returning *) select * from gone",
        "select nextval('s')",
        "select my_function()",
        "select public.my_function(1)",
        'select "MyFunction"(1)',
        'select "count" (1)',
        "select * from t for update",
        "select * from t for no key update skip locked",
        "select * from t for share",
        "select * into u from t",
        "select 1; delete from t",
        "select fn /* a comment */ (1)",
        "select fn -- a comment\n (1)",
        "select écrire(1)",
        "set work_mem = '1MB'; delete from t",
        "call p()",
        "declare c cursor with hold for select my_function()",
        "declare c scroll cursor\nwith hold for select 1",
        "rollback prepared 'x'",
        "",
    ],
)
def test_in_doubt_a_statement_writes(statement: str) -> None:
    """Locks, functions of somebody's own, and everything that is no SELECT."""
    assert not only_reads(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "commit",
        " COMMIT AND CHAIN",
        "end transaction",
        "prepare transaction 'x'",
        "/* a comment */ commit",
        "/* a /* nested */ comment */ commit",
        "-- a comment\n commit",
        "insert into t values (1); commit",
        "insert into t values ('a;b');\ncommit; begin",
        "insert into t values (E'\\''); commit; --'",
        "rollback; insert into t values (1)",
    ],
)
def test_what_may_commit_is_known(statement: str) -> None:
    """Alone, or behind others in one text."""
    assert may_end_transaction(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "insert into t values ('; commit')",
        "select case when true then 1 end",
        'update t set "; commit" = 1',
        "do $$ begin perform 1; end $$",
        "do $body$ begin execute $$ commit $$; end $body$",
        "rollback",
        "rollback to savepoint a; insert into t values (1)",
        "release savepoint a",
        "prepare p as select 1",
        "delete from t where a = 1;",
        "/* ; commit */ select 1",
    ],
)
def test_what_cannot_commit_is_repeated_where_the_rest_allows_it(statement: str) -> None:
    """Strings, names, comments and bodies of functions are not the text's own statements."""
    assert not may_end_transaction(statement)


@pytest.mark.parametrize("statement", ["rollback to a", " ROLLBACK WORK TO SAVEPOINT a ;", "rollback transaction to a"])
def test_who_only_goes_back_to_a_savepoint_stays_in_his_transaction(statement: str) -> None:
    """As SQLAlchemy says it, too."""
    assert goes_back(statement)


@pytest.mark.parametrize(
    "statement", ["rollback", "rollback and chain", "rollback to a; commit", "rollback; rollback to a"]
)
def test_in_doubt_a_rollback_ends_the_transaction(statement: str) -> None:
    """Alone, or with something else in the text."""
    assert not goes_back(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "notify news",
        "NOTIFY news, 'x'",
        "select pg_notify('news', 'x')",
        "DECLARE c CURSOR\nWITH HOLD FOR SELECT my_function()",
    ],
)
def test_what_acts_as_late_as_in_commit_is_known(statement: str) -> None:
    """A notification is sent there, and a cursor that shall be held runs its query."""
    assert may_act_late(statement)


def test_what_is_only_called_so_does_not_notify() -> None:
    """In doubt it does, but not for a part of a word."""
    assert not may_act_late("select notified_at from notifications")


@pytest.mark.parametrize(
    "statement",
    [
        "set transaction read only",
        "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE",
        "begin read only",
        "select 1; start transaction read\n only",
        "set session characteristics as transaction read only",
        "set local transaction_read_only = on",
        "set default_transaction_read_only to on",
        "select set_config('transaction_read_only', 'on', true)",
    ],
)
def test_who_asks_for_no_writes_is_known(statement: str) -> None:
    """By the statement's own words, or by the setting's name."""
    assert asks_read_only(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "set transaction read write",
        "update t set read_only = true",
        "insert into t values ('read only')",
        "show transaction_read_only",
        "select current_setting('transaction_read_only')",
    ],
)
def test_who_does_not_ask_for_no_writes_is_waited_for(statement: str) -> None:
    """Their refusal is the server's, as after a failover."""
    assert not asks_read_only(statement)
