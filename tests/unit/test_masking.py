"""What must not be seen, is not."""

import copy
import json
import pickle
import traceback
from pathlib import Path

import pytest
from psycopg.pq import Conninfo
from rich.pretty import pretty_repr

from db import ConfigurationError, DatabaseSettings, FixedCredentials, Login, Secret
from db.credentials.fixed import LIBPQ, PASSED_OVER
from db.deadline import UNBOUNDED
from db.masking import without_frames

HIDDEN = "pw-that-must-not-be-seen"


@pytest.mark.parametrize(
    "shown",
    [
        repr(Secret(HIDDEN)),
        str(Secret(HIDDEN)),
        f"{Secret(HIDDEN)}",
        "%s %r" % (Secret(HIDDEN), Secret(HIDDEN)),  # noqa: UP031 - logging formats this way
        pretty_repr({"a": [Secret(HIDDEN)]}),
        pretty_repr(Login(user="u", password=Secret(HIDDEN), host="h")),
        repr(DatabaseSettings(url=f"postgres://u:{HIDDEN}@h/d")),
        pretty_repr(DatabaseSettings(url=f"postgres://u:{HIDDEN}@h/d")),
        repr(FixedCredentials.from_url(f"postgres://u:{HIDDEN}@h/d")),
    ],
)
def test_a_secret_shows_itself_in_no_text(shown: str) -> None:
    """However it is formatted, and in whatever it is held."""
    assert HIDDEN not in shown


def test_a_secret_leaves_the_process_only_on_purpose() -> None:
    """It is neither pickled nor written as JSON; who needs the text says so."""
    with pytest.raises(TypeError):
        pickle.dumps(Secret(HIDDEN))
    with pytest.raises(TypeError):
        json.dumps(Secret(HIDDEN))
    with pytest.raises(TypeError):
        copy.deepcopy(Secret(HIDDEN))
    assert Secret(HIDDEN).reveal() == HIDDEN


def test_secrets_are_compared_by_their_text() -> None:
    """Two of the same text are equal, and usable as keys."""
    assert Secret("a") == Secret("a") != Secret("b")
    assert {Secret("a"), Secret("a")} == {Secret("a")}
    assert Secret("a") != "a"
    assert not Secret("")


def test_a_secret_that_has_no_bytes_is_compared_all_the_same() -> None:
    """Half of a surrogate pair is no reason to raise what shows it."""
    assert Secret("\ud83d") == Secret("\ud83d") != Secret("?")


@pytest.mark.parametrize(
    "url",
    [
        "http://u:{}@h/d",
        "postgres://u:{}@h",
        "postgres://u:{}@h:port/d",
        "postgres://u:x:{}/d",
        "postgres://u:{}[@h/d",
        "postgres://u:[{}]@h/d",
        "postgres://u:{}\u2100@h/d",
        "postgres://u:{}\udce9@h/d",
        "postgres://u:{}%E9@h/d",
        "postgres://u%E9:{}@h/d",
        "postgres://u:{}@h\udce9/d",
        "postgres://u:{}@h/%E9",
        "postgres://u:{}%00@h/d",
        "postgres://u%00options:{}@h/d",
        "postgres://u:{}@h/d%00options",
        "postgres://u:{}\0@h/d",
        "postgres://u:{}@h\0/d",
        "postgres://u:x@{}/y@h/d",
        "postgres://u:x@9/y?{}@h/d",
        "postgres://u:x@9/y?a&{}@h/d",
        "postgres://u:x@9/y#{}@h/d",
        "postgres://u:x/{}@h/d",
        "postgres://u@h/d?{}",
        "postgres://u@h/d?password=x&{}=y",
        "{}",
    ],
)
def test_a_wrong_url_is_refused_without_being_shown(url: str) -> None:
    """The message names the variable; neither it nor any frame's locals hold what is in it."""
    environ = {"DATABASE_URL": url.format(HIDDEN)}
    with pytest.raises(ConfigurationError, match="DATABASE_URL") as raised:
        FixedCredentials.from_url(DatabaseSettings.from_env(environ).url or "")
    assert HIDDEN not in frames_of(raised.value)


@pytest.mark.parametrize("more", [{"DB_PORT": "0"}, {"DB_SECRET_ID": "s"}, {"DB_IAM_USER": "u"}])
def test_wrong_settings_are_refused_without_showing_the_url(more: dict[str, str]) -> None:
    """An error about one variable shows nothing of another."""
    with pytest.raises(ConfigurationError) as raised:
        DatabaseSettings.from_env({"DATABASE_URL": f"postgres://u:{HIDDEN}@h/d", **more})
    assert HIDDEN not in frames_of(raised.value)


def frames_of(error: BaseException) -> str:
    """Return what a reporter that captures locals would send; this file's own frames know the text and are left out."""
    whole = traceback.TracebackException.from_exception(error, capture_locals=True)
    lines = [
        line for part in chain(whole) for frame in part.stack if frame.filename != __file__ for line in shown(frame)
    ]
    return "\n".join([*lines, *whole.format_exception_only()])


def chain(whole: traceback.TracebackException) -> list[traceback.TracebackException]:
    """Return the error and all that led to it, whether a reporter would print them or not."""
    more = [part for part in (whole.__cause__, whole.__context__) if part is not None]
    return [whole, *(each for part in more for each in chain(part))]


def shown(frame: traceback.FrameSummary) -> str:
    return f"{frame.name} {frame.locals}"


def test_an_error_keeps_its_reason_and_forgets_its_frames() -> None:
    """Causes and contexts stay, with their messages; what their frames held is gone. A cycle is no trap."""

    def fail(password: str) -> None:
        try:
            Path("/", password).read_text()
        except OSError as error:
            raise ValueError("reason") from error

    with pytest.raises(ValueError, match="reason") as raised:
        fail(HIDDEN)
    error = raised.value
    assert error.__cause__ is not None
    error.__cause__.__context__ = error
    without_frames(error)
    assert isinstance(error.__cause__, OSError)
    assert error.__traceback__ is None
    assert error.__cause__.__traceback__ is None


def test_a_url_names_everything() -> None:
    """Libpq's form, with encoded parts; settings override where, and a query turns nothing off."""
    url = "postgres://us%40er:p%3Aw%2Fd@db.example.com:6000/na%20me?sslmode=disable"
    login = next(iter(FixedCredentials.from_url(url, {"port": 7000}).logins(UNBOUNDED)))
    assert login == Login(user="us@er", password=Secret("p:w/d"), host="db.example.com", port=7000, database="na me")


@pytest.mark.parametrize(
    ("end", "says"),
    [
        ("/y@h/d", "%40 %2F"),
        ("?options=-csearch_path%3Dtenant&sslmode=require", "not read, options: a DB_"),
        ("?host=other&dbname=x", "not read, dbname, host: a DB_"),
        ("?host=other&pgbouncer=true", "not read, host, one that nobody knows: a DB_"),
        ("?target_session_attrs", "not read, target_session_attrs: a DB_"),
        ("#1", "%23"),
    ],
)
def test_what_a_url_says_and_nobody_reads_is_refused(end: str, says: str) -> None:
    """An option that were passed over would be another schema, or another server, without a word."""
    with pytest.raises(ConfigurationError, match=says):
        FixedCredentials.from_url(f"postgres://u:p@h/d{end}")
    assert FixedCredentials.from_url("postgres://u:p@h/d?sslmode=require&channel_binding=require")


def test_an_at_sign_in_a_password_alone_is_no_riddle() -> None:
    """Between user and host the last one counts: no host has any."""
    (login,) = FixedCredentials.from_url("postgres://u:p@ss@h/d").logins(UNBOUNDED)
    assert (login.password, login.host) == (Secret("p@ss"), "h")


def test_an_option_of_libpqs_is_named() -> None:
    """Whichever it is; what is no such name may be a part of a password."""
    theirs = {option.keyword.decode() for option in Conninfo.get_defaults()}
    assert theirs <= LIBPQ | PASSED_OVER
