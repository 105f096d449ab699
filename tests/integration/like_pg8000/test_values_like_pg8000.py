"""Whatever value goes and comes: the same as through stock pg8000."""

from datetime import datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pg8000 import dbapi
from pg8000.types import Range

from tests.integration.like_pg8000.conftest import EXAMPLES, Outcome, stock_connection

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
        pair["stock"] = stock_connection(pair["server"])
    assert ours == stock


def test_an_offset_with_seconds_is_a_datetime_too(pair: dict[str, Any]) -> None:
    """Local time before there were zones, which pg8000 leaves as text."""
    read = _read(pair["ours"], "timestamptz", "1800-01-01 00:00+00", "Asia/Kolkata")
    assert read == ("read", (datetime, "1800-01-01 05:53:28+05:53:28"))


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
