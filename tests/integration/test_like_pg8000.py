"""Whatever is asked in whatever order: the same answers and the same state as through stock pg8000."""

import math
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pg8000 import dbapi
from pg8000.types import Range

from db.deadline import Deadline
from db.protocol.opening import Habits
from db.settings import Mode
from db.statements import watched
from db.statements.watched import WatchedConnection
from local.postgres import PostgresServer
from tests.integration.wire import connected, session

Outcome = tuple[str, object]
Operation = tuple[str, Any]
EXAMPLES = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

KEYS = st.integers(0, 5)
NAMES = st.sampled_from(["a", "b"])
NOTHING = st.just(())
OPERATIONS = st.one_of(
    st.tuples(st.just("insert into t values (%s, %s)"), st.tuples(KEYS, st.text("xyß'\\%", max_size=3))),
    st.tuples(st.just("update t set s = s || %s where n > %s"), st.tuples(st.text("qr", max_size=2), KEYS)),
    st.tuples(st.just("delete from t where n = %s"), st.tuples(KEYS)),
    st.tuples(st.just("select n, s from t where n <> %s order by n"), st.tuples(KEYS)),
    st.tuples(st.just("select 1 / %s"), st.tuples(st.integers(0, 1))),
    st.tuples(
        st.just("insert into t values (10, 'x'); select count(*) from t; delete from t where n = 10"), st.just(())
    ),
    st.tuples(st.just("insert into t values (11, 'x'); select no_such_column"), NOTHING),
    st.tuples(
        st.sampled_from(["select no_such_column", "no statement", "", ";", "set local search_path = x"]), st.just(())
    ),
    st.tuples(
        st.sampled_from(
            [
                "set local lock_timeout = '9s'",
                "set transaction read only",
                "set transaction isolation level repeatable read",
                "lock table t in share mode",
            ]
        ),
        NOTHING,
    ),
    st.tuples(NAMES.map(lambda name: f"savepoint {name}"), NOTHING),
    st.tuples(NAMES.map(lambda name: f"rollback to savepoint {name}"), NOTHING),
    st.tuples(NAMES.map(lambda name: f"release savepoint {name}"), NOTHING),
    st.tuples(st.sampled_from(["commit", "rollback", "begin"]), NOTHING),
    st.tuples(st.just("many"), st.lists(st.tuples(KEYS, st.just("m")), max_size=4)),
    st.tuples(st.sampled_from(["COMMIT", "ROLLBACK"]), st.none()),
)


LATE_LEVEL = ("set local lock_timeout = '9s'", "set transaction isolation level repeatable read")

STEPS = st.lists(st.tuples(OPERATIONS, st.sampled_from([50, 100])), max_size=12)
"""What is asked, and the seconds that are left then."""


@pytest.fixture(scope="module", params=["plain", "lent"])
def pair(postgres: PostgresServer, connection_mode: Mode, request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """A connection of each kind, each with a new schema of its own; ours as it is, and as a Database lends it."""
    with ExitStack() as stack:
        opened = connected(postgres) if request.param == "plain" else _lent(postgres, connection_mode)
        connections = {"stock": _stock(postgres), "ours": stack.enter_context(opened)}
        for name, connection in connections.items():
            connection.autocommit = True
            connection.cursor().execute(f"drop schema if exists like_{name} cascade; create schema like_{name}")
            connection.cursor().execute(f"set search_path = like_{name}")
            connection.cursor().execute("create table t (n int primary key, s text)")
        connections["server"] = postgres
        yield connections
        connections["stock"].close()


@contextmanager
def _lent(server: PostgresServer, mode: Mode) -> Iterator[WatchedConnection]:
    """Lend a connection with what a Database adds: a limit that the session keeps, riders, a comment."""
    limit = {"statement_timeout": "97000"} if mode is Mode.DIRECT else {}
    whose = session(server, optional=limit)
    lent = watched.connect(whose, deadline=Deadline.after(30), habits=Habits(), reserve_s=2, silence_s=30)
    with closing(lent):
        if limit:
            lent.time_limit.begin_with(97_000)
        lent.lend(Deadline.after(100), " /*route='like'*/")
        yield lent


def _stock(server: PostgresServer) -> dbapi.Connection:
    connection = dbapi.connect("postgres", "127.0.0.1", "postgres", server.port, server.password, ssl_context=False)
    connection.autocommit = True
    connection.cursor().execute("set search_path = like_stock")
    return connection


@contextmanager
def _fresh(connection: Any, *, autocommit: bool) -> Iterator[None]:  # noqa: ANN401 - either kind
    """Empty the table, and leave no transaction behind."""
    connection.autocommit = True
    connection.cursor().execute("truncate t")
    connection.autocommit = autocommit
    yield
    connection.autocommit = True
    if connection._in_transaction:
        connection.cursor().execute("rollback")


def _outcome(connection: Any, operation: Operation, left_s: float = math.inf) -> Outcome:  # noqa: ANN401 - either kind
    """Return what an operation comes to: rows and row count, or the SQLSTATE."""
    statement, values = operation
    if isinstance(connection, WatchedConnection):
        connection.deadline = Deadline.after(left_s)
    cursor = connection.cursor()
    try:
        if values is None:
            _end(connection, statement)
        elif statement == "many":
            cursor.executemany("insert into t values (%s, %s)", values)
        else:
            cursor.execute(statement, values)
    except dbapi.InterfaceError:
        return "refused", None
    except dbapi.DatabaseError as error:
        return "error", error.args[0]["C"]
    rows = [list(row) for row in cursor._context.rows or ()] if cursor._context else None
    return "done", (rows, cursor.rowcount, connection._in_transaction)


def _end(connection: Any, statement: str) -> None:  # noqa: ANN401 - either kind
    if connection._in_transaction:
        connection.commit() if statement == "COMMIT" else connection.rollback()


@EXAMPLES
@given(steps=STEPS, autocommit=st.booleans())
@example(steps=[((LATE_LEVEL[0], ()), 50), ((LATE_LEVEL[1], ()), 50)], autocommit=False)
@example(steps=[(("lock table t in share mode", ()), 50), ((LATE_LEVEL[1], ()), 50)], autocommit=False)
def test_any_sequence_leaves_the_same_state_and_results(
    pair: dict[str, Any], steps: list[tuple[Operation, int]], *, autocommit: bool
) -> None:
    """Statements, errors, savepoints, commits and rollbacks, with autocommit and without, whatever time is left.

    The one difference is by design: with autocommit, executemany is all or nothing; it is left out there.
    """
    asked = [step for step in steps if not (autocommit and step[0][0] == "many")]
    results = {}
    for name in ("stock", "ours"):
        connection = pair[name]
        with _fresh(connection, autocommit=autocommit):
            results[name] = [_outcome(connection, *step) for step in asked]
        cursor = connection.cursor()
        cursor.execute("select n, s from t order by n")
        results[name].append(("state", [list(row) for row in cursor.fetchall()]))
    assert results["ours"] == results["stock"]


@pytest.mark.parametrize("first", ["savepoint a", "set local lock_timeout = '9s'", "declare c cursor for select 1"])
def test_a_transaction_sees_what_was_committed_before_its_first_query(
    server_itself: PostgresServer, first: str
) -> None:
    """Nothing that travels along with what is no query takes REPEATABLE READ's snapshot early."""
    with (
        connected(server_itself) as other,
        closing(_stock(server_itself)) as stock,
        _lent(server_itself, Mode.DIRECT) as ours,
    ):
        other.autocommit = True
        other.cursor().execute("drop table if exists public.early; create table public.early (n int)")
        assert _seen_after(first, stock, other) + 1 == _seen_after(first, ours, other)


def _seen_after(first: str, connection: Any, other: Any) -> int:  # noqa: ANN401 - either kind
    """Return how many rows a transaction sees that locks the table when somebody has added one behind `first`."""
    connection.autocommit = False
    cursor = connection.cursor()
    cursor.execute("set transaction isolation level repeatable read")
    cursor.execute(first)
    other.cursor().execute("insert into public.early values (1)")
    cursor.execute("lock table public.early in share mode")
    cursor.execute("select count(*) from public.early")
    [[seen]] = cursor.fetchall()
    connection.rollback()
    return int(seen)


ODD_TIMES = [
    *("infinity", "-infinity", "0044-03-15 12:00:00 BC", "12026-01-01", "2026-01-01 1:2:3.4"),
    "2026-01-01 00:00+05:30",
]
AS_TEXT = {
    "json": ['{"a": [1, null, "ß"]}', "1"],
    "jsonb": ['{"a": [1, null, "ß"]}', "null"],
    "xml": ["<a>ß</a>"],
    "inet": ["10.0.0.1", "10.0.0.1/8", "::1", "fe80::/64"],
    "cidr": ["10.0.0.0/8", "::/0"],
    "macaddr": ["08:00:2b:01:02:03"],
    "point": ["(1,-2.5)"],
    "box": ["(1,2),(0,0)"],
    "bit": ["1"],
    "varbit": ["101"],
    "money": ["12.5"],
    "oid": ["4294967295"],
    "pg_lsn": ["16/B374D848"],
    "interval": ["1 year 2 mons 3 days 04:05:06.7", "-1 days +00:00:01"],
    "timetz": ["04:05:06.789+05:30"],
    "tsvector": ["a:1 b:2"],
    "int4range": ["[1,5)", "empty", "(,5]"],
    "int8range": ["[1,)"],
    "numrange": ["[1.5,2.5]", "(,)"],
    "daterange": ["[2026-01-01,2026-02-01)"],
    "tsrange": ["[2026-01-01 00:00,2026-02-01 01:02:03.4)"],
    "tstzrange": ["[2026-01-01 00:00+00,)"],
    "int4multirange": ["{[1,3),[5,9)}", "{}"],
    "datemultirange": ["{[2026-01-01,2026-02-01)}"],
    "bool[]": ["{t,f,NULL}"],
    "bytea[]": ['{"\\\\x00ff"}'],
    "date[]": ["{2026-01-01,infinity}"],
    "float8[]": ["{1.5,NaN,-Infinity}"],
    "inet[]": ["{10.0.0.1,::1}"],
    "interval[]": ['{"1 day"}'],
    "jsonb[]": ['{"{\\"a\\": 1}",NULL}'],
    "numeric[]": ["{1.50,NULL}", "{{1,2},{3,4}}"],
    "text[]": ['{"a,b","c\\"d",NULL,"NULL",""}', "{}", "{{a,b},{c,d}}"],
    "timestamptz[]": ['{"2026-01-01 00:00:00+00"}'],
    "uuid[]": ["{00000000-0000-4000-8000-000000000000}"],
    "int4range[]": ['{"[1,5)"}'],
}
"""By type, what is read of it."""
VALUES = st.one_of(
    st.sampled_from([(kind, written) for kind, texts in AS_TEXT.items() for written in texts]),
    st.tuples(st.just("int4range"), st.sampled_from([Range(1, 5), Range(1, 5, bounds="(]"), Range(is_empty=True)])),
    st.tuples(st.just("inet"), st.ip_addresses()),
    st.tuples(st.just("text[]"), st.lists(st.none() | st.text('a"\\,{} ', max_size=3), min_size=1, max_size=3)),
    st.tuples(st.just("int"), st.integers(-(2**31), 2**31 - 1)),
    st.tuples(st.just("bigint"), st.integers(-(2**63), 2**63 - 1)),
    st.tuples(st.just("numeric"), st.decimals(allow_infinity=False)),
    st.tuples(st.just("float8"), st.floats()),
    st.tuples(st.just("bool"), st.booleans()),
    st.tuples(st.just("text"), st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))),
    st.tuples(st.just("bytea"), st.binary()),
    st.tuples(st.just("uuid"), st.uuids()),
    st.tuples(st.just("date"), st.dates()),
    st.tuples(st.just("time"), st.times()),
    st.tuples(st.just("timestamp"), st.datetimes()),
    st.tuples(st.just("timestamptz"), st.datetimes(datetime(1980, 1, 1), timezones=st.timezones())),  # noqa: DTZ001 - hypothesis adds the zone
    st.tuples(st.just("interval"), st.timedeltas()),
    st.tuples(st.just("jsonb"), st.dictionaries(st.text("abc"), st.none() | st.booleans() | st.integers())),
    st.tuples(st.just("int[]"), st.lists(st.integers(-9, 9), min_size=1)),
    st.tuples(st.just("date"), st.sampled_from(["infinity", "-infinity", "0044-03-15 BC", "12026-01-01"])),
    st.tuples(
        st.just("timestamp"),
        st.sampled_from(ODD_TIMES),
    ),
    st.tuples(st.just("timestamptz"), st.sampled_from(ODD_TIMES)),
    st.tuples(st.just("time"), st.sampled_from(["24:00:00", "00:00:00.000001"])),
    st.tuples(st.sampled_from(["int", "text", "jsonb", "timestamptz", "bytea"]), st.none()),
)


@settings(EXAMPLES, max_examples=300)
@given(typed=VALUES, zone=st.sampled_from(["UTC", "Asia/Kolkata", "America/St_Johns", "Africa/Monrovia"]))
def test_any_value_goes_and_comes_as_with_pg8000(pair: dict[str, Any], typed: tuple[str, Any], zone: str) -> None:
    """Every type that pg8000 reads, in any time zone: the same value of the same Python type, or the same error."""
    kind, value = typed
    stock, ours = (_read(pair[name], kind, value, zone) for name in ("stock", "ours"))
    if stock[0] == "failed":  # stock pg8000 leaves the rest of the reply to whoever comes next
        pair["stock"].close()
        pair["stock"] = _stock(pair["server"])
    assert ours == stock


def test_an_offset_with_seconds_is_a_datetime_too(pair: dict[str, Any]) -> None:
    """Local time before there were zones, which pg8000 leaves as text."""
    read = _read(pair["ours"], "timestamptz", "1800-01-01 00:00+00", "Asia/Kolkata")
    assert read == ("read", (datetime, "1800-01-01 05:53:28+05:53:28"))


def test_a_commit_in_the_statement_s_text_is_refused_in_a_failed_transaction(pair: dict[str, Any]) -> None:
    """As pg8000 does: the server would roll back and call it done."""
    for connection in (pair["stock"], pair["ours"]):
        with _fresh(connection, autocommit=False):
            assert _outcome(connection, ("select no_such_column", ())) == ("error", "42703")
            assert _outcome(connection, ("commit", ())) == ("refused", None)


def _read(connection: Any, kind: str, value: object, zone: str) -> Outcome:  # noqa: ANN401 - either kind
    """Send a value, and return what comes back as it looks in Python."""
    connection.autocommit = True
    connection.cursor().execute(f"set time zone '{zone}'")
    cursor = connection.cursor()
    try:
        cursor.execute(f"select %s::text::{kind}" if isinstance(value, str) else f"select %s::{kind}", (value,))
    except dbapi.DatabaseError as error:
        return "error", error.args[0]["C"]
    except Exception as error:  # noqa: BLE001 - whatever a reader or a writer of pg8000's raises
        return "failed", type(error)
    read = cursor.fetchone()[0]
    # For an offset of half an hour pg8000 has dateutil's class, we have Python's: the same moment.
    return "read", (type(read), str(read) if kind.startswith("timestamp") else repr(read))
