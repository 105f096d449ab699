"""What is said behind a statement, and that nobody can say anything else with it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.statements.comment import comment, commented

TRACE = "00-5bd66ef5095369c7b0d1f8f4bd33716a-c532cb4098ac3dd2-01"


def test_tags_are_said_in_sqlcommenters_form() -> None:
    """Sorted by key, encoded, in quotes."""
    said = comment({"traceparent": TRACE, "request_id": "a/b c"})
    assert said == f" /*request_id='a%2Fb%20c',traceparent='{TRACE}'*/"


def test_nothing_to_say_is_no_comment() -> None:
    """Not even an empty one."""
    assert comment({}) == ""


@given(st.text(), st.text())
def test_no_tag_can_end_the_comment(key: str, value: str) -> None:
    """Whoever chooses key or value: no quote, star, slash or line is left of them."""
    said = comment({key: value})
    assert re.fullmatch(r" /\*[\w.~%-]*='[\w.~%-]*'\*/", said, re.ASCII)


@pytest.mark.parametrize("statement", ["select 1 /* mine */", "select 1 -- mine", "/* mine */ select 1"])
def test_a_statement_with_a_comment_of_its_own_is_left_as_it_is(statement: str) -> None:
    """It would not be read, or be read twice."""
    assert commented(statement, " /*a='b'*/") == statement
    assert commented("select 1", " /*a='b'*/") == "select 1 /*a='b'*/"
