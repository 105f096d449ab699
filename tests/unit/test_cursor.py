"""The cursor as clients carry it."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from handlers import cursor
from handlers.refusals import RefusedError

names = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=200)


@given(prefix=names, last_name=names)
def test_a_cursor_leads_back_to_its_name(prefix: str, last_name: str) -> None:
    """Any name and prefix; the text needs no escaping in a URL and keeps to its limit."""
    text = cursor.encode(prefix, last_name)
    assert cursor.decode(text, prefix) == last_name
    assert re.fullmatch(r"[A-Za-z0-9_-]*", text)
    assert len(text) <= cursor.MAX_LENGTH


@given(names, names)
def test_a_cursor_is_bound_to_its_filter(prefix: str, other: str) -> None:
    """Another prefix never reads it."""
    if prefix != other:
        with pytest.raises(RefusedError):
            cursor.decode(cursor.encode(prefix, "name"), other)


@given(st.text())
@example("AB")
def test_nothing_but_a_cursor_is_read(text: str) -> None:
    """What somebody else has made is refused, and no other error is raised."""
    try:
        name = cursor.decode(text, "")
    except RefusedError:
        return
    assert cursor.encode("", name).rstrip("=") == text.rstrip("=")
