"""Which statements are the same, and that none shows a value: as tables, and for whatever text there is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, Text, insert, select
from sqlalchemy.dialects.postgresql import pg8000

from db.statements.fingerprint import fingerprint, normalised

THINGS = Table("things", MetaData(), Column("id", Integer, primary_key=True), Column("name", Text))

NORMALISED = {
    "select  *\nfrom things where id = %s": "select * from things where id = ?",
    "select * from things where id = $1::INTEGER": "select * from things where id = ?",
    "select 'it''s', E'a\\'b', $$text$$, $x$te$$xt$x$, B'01', 1, 2.5e-3, -7": "select ?, -?",
    'select "a 1", t1.c2 from "it""s"': 'select "a 1", t1.c2 from "it""s"',
    "select 1 -- of course\n, 2 /* and\n more */;": "select ?",
    "select 1 /**/ + 2 /***/ + /* * / it's */ 3 /* 4": "select ? + ? + ?",
    "select 1 /* a /* b */ 4711 */ + 2": "select ?",
    "select a*b/c, '/*' || \"/*\" */ 2": 'select a*b/c, ? || "/*" */ ?',
    "select x[1:2], t1.c2, a_1 - 0x1e-3": "select x[?:?], t1.c2, a_1 - ?-?",
    "select 'C:\\', 'canary' from t": "select ? from t",
    "select 'never ends": "select ?",
    "insert into things values (1, 'a'), (2, 'b'), (3, 'c')": "insert into things values (?)",
    "select f(1, x, 2), g(1, 2)": "select f(?, x, ?), g(?)",
    "select a in (1, 2), b in (%s::BIGINT, %s::BIGINT)": "select a in (?), b in (?)",
}


@pytest.mark.parametrize("statement", NORMALISED)
def test_a_statement_is_shown_without_values(statement: str) -> None:
    """Comments, texts, numbers and placeholders go; names stay."""
    assert normalised(statement) == NORMALISED[statement]


def compiled(statement: object, **parameters: object) -> str:
    dialect = pg8000.dialect(paramstyle="format")  # type: ignore[no-untyped-call]  # SQLAlchemy's is untyped
    made = statement.compile(dialect=dialect, compile_kwargs=parameters)  # type: ignore[attr-defined]  # any clause
    return str(made)


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_a_list_is_the_same_however_long_it_is(size: int) -> None:
    """IN with one value and IN with fifty are one statement; so are batches of rows."""
    found = select(THINGS).where(THINGS.c.id.in_(range(size)))
    assert fingerprint(compiled(found, render_postcompile=True)) == fingerprint(
        compiled(select(THINGS).where(THINGS.c.id.in_([1])), render_postcompile=True)
    )
    rows = insert(THINGS).values([{"id": n, "name": "x"} for n in range(size)])
    assert fingerprint(compiled(rows)) == fingerprint(compiled(insert(THINGS).values([{"id": 1, "name": "x"}])))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("select a from t", "select b from t"),
        ("select a from t where b = 1", "select a from t where c = 1"),
        ('select "A" from t', 'select "B" from t'),
    ],
)
def test_different_statements_have_different_fingerprints(one: str, other: str) -> None:
    """Names count."""
    assert fingerprint(one) != fingerprint(other)


@pytest.mark.parametrize(
    "other",
    [
        "SELECT name FROM things\n WHERE id = $1 AND name = $2",
        "select name from things where id = 7 and name = 'kettle'",
        "select name from things where id = %s::INTEGER and name = %s::VARCHAR(200) /*request_id='1'*/",
        "select name from things where id = $1::numeric(10, 2) and name = $2::timestamp with time zone[]",
    ],
)
def test_spelling_casts_and_comments_do_not_count(other: str) -> None:
    """What the driver sends and what pg_stat_statements keeps are the same statement."""
    assert fingerprint("select name from things where id = %s and name = %s") == fingerprint(other)


WHOLE = ("{0}", "{0:_}", "{0:#x}", "{0:#X}", "{0:#o}", "{0:#b}")
NUMBERS = (*WHOLE, ".{0}", "{0}.", "{0}.{0}", "{0}e{0}", ".{0}E-{0}", "{0:_}.e+{0}")


@given(st.integers(min_value=0), st.sampled_from(NUMBERS))
def test_no_number_is_ever_shown(value: int, form: str) -> None:
    """However it is written: with underscores, in another base, without digits before the point or behind it."""
    number = form.format(value)
    assert normalised(f"where b = {number} and c = -{number}") == "where b = ? and c = -?"


@given(st.text(alphabet=st.characters(exclude_characters="\0")))
def test_no_text_in_quotes_is_ever_shown(value: str) -> None:
    """Whatever it holds: quotes, comments, dollars."""
    quoted = "'canary" + value.replace("'", "''") + "canary'"
    assert normalised(f"where b = {quoted} and c = 1") == "where b = ? and c = ?"
