"""Which statements leave something in the session, as a table."""

import pytest

from db.statements.residue import may_leave


@pytest.mark.parametrize(
    "statement",
    [
        "set search_path to other",
        "SET SESSION timezone = 'UTC'",
        "set role somebody",
        "set session characteristics as transaction read only",
        "-- a comment\n set work_mem = '1MB'",
        "/* a\n comment */ SET work_mem = '1MB'",
        "listen news",
        "prepare p as select 1",
        "create temp table t (n int)",
        "create temporary table t as select 1",
        "create local temp table t (n int)",
        "create or replace temp view v as select 1",
        "select 1 as n into temp t",
        "explain analyze create temp table t as select 1",
        "create table pg_temp.t (n int)",
        'create function "pg_temp".f() returns int language sql as $$ select 1 $$',
        "create table pg_temp_3.t (n int)",
        "update pg_settings set setting = '3' where name = 'extra_float_digits'",
        "explain analyze update pg_settings set setting = '3'",
        "UPDATE ONLY\n pg_catalog.pg_settings set setting = '3'",
        "select pg_advisory_lock(1)",
        "select pg_try_advisory_lock_shared(1, 2)",
        "select set_config('a.b', 'c', false)",
        "select set_config('a.b', 'c', %s)",
        "declare c cursor with hold for select 1",
        "do $$ begin perform pg_advisory_lock(1); end $$",
        "call p()",
        "load 'auto_explain'",
        "select 1; set search_path = other",
        "select set_config('a.b', 'c', false), set_config('d.e', 'f', true)",
        "select set_config('a.b', (select true), false)",
    ],
)
def test_what_may_leave_something(statement: str) -> None:
    """The session is cleaned after each of these."""
    assert may_leave(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "select 1",
        "update t set set = 1",
        "insert into temperatures values (1)",
        "set local statement_timeout = 1",
        "set transaction isolation level serializable",
        "set constraints all deferred",
        "select pg_advisory_xact_lock(1)",
        "select set_config('a.b', 'c', true)",
        "select set_config('a.b', %s, true), set_config('d.e', 'f', TRUE )",
        "select 1;",
        "declare c cursor for select 1",
        "create table t (n int)",
        "select setting from pg_settings",
        "update my_pg_settings set setting = '3'",
        "settle",
    ],
)
def test_what_leaves_nothing(statement: str) -> None:
    """No flight is spent on cleaning after these."""
    assert not may_leave(statement)
