"""Passwords beyond ASCII: what the server makes of them is what we make of them, by its own verifiers."""

import base64
import sys
from collections.abc import Iterator
from itertools import chain

import pytest

from db.protocol.connection import Connection
from db.protocol.scram import verifier
from local.binaries import knows
from local.postgres import PostgresServer
from tests.integration.wire import connected, value

ROLE = "prepared"
CHEAP = "scram_iterations"
"""A setting that PostgreSQL 16 was the first to have; without it a password takes two milliseconds at each end."""

VERIFIERS = """
    create function pg_temp.verifiers(passwords text[]) returns text language plpgsql as $$
    declare password text; found text[];
    begin
        foreach password in array passwords loop
            execute format('alter role prepared password %L', password);
            found := found || (select rolpassword from pg_authid where rolname = 'prepared')::text;
        end loop;
        return array_to_string(found, ' ');
    end $$
"""

ODD = {
    "left out": "\u00ad\u034f\u1806\u180b\u200c\u200d\u2060\ufe00\ufeff",
    "a space": "\u00a0\u1680\u2000\u200b\u202f\u205f\u3000",
    "composed": "\u00aa\u00b2\u212b\u2160\ufb01\uff21\u1e9b\uac00",
    "composed otherwise in Unicode 3.2": "\U0002f868\U0002f874\U0002f91f\U0002f95f\U0002f9bf",
    "prohibited": "\u0080\u0340\u0341\u06dd\u200e\u2028\u2ff0\ue000\ufffd\U000e0001\U000e0020\U0010ffff",
    "unassigned": "\u0221\u0378\u20bf\u1e9e\U0001f600",
    "right to left": "\u05d0\u0627\ufb1d\ufc5e\ufe70",
    "right to left after NFKC": "\u2135\u2136\u2137\u2138",
}
EVERYWHERE = ("{}", "pa{}ss", "{}{}", "\u05d0{}\u05d0", "\u05d0{}", "e\u0301{}\u0327", "{}\x01")
PLAIN = ["correct horse", "\x01\x7f\t", " ", "'\\"]
"""ASCII, which is taken as it is."""


@pytest.fixture
def administrator(server: PostgresServer) -> Iterator[Connection]:
    """Who may look at verifiers, and has a role to give passwords."""
    with connected(server, autocommit=True) as connection:
        connection.cursor().execute(f"create role {ROLE} login")
        connection.cursor().execute(VERIFIERS)
        yield connection
        connection.cursor().execute(f"drop role {ROLE}")


def passwords(*, many: bool) -> Iterator[str]:
    """Yield the odd ones in each place; `many`: and some of all that Unicode has letters and signs for."""
    ranges = (range(0x80, 0x3400), range(0xF900, 0x10000), range(0x1D100, 0x1D800), range(0x2F800, 0x2FA20))
    yield from PLAIN
    for form in EVERYWHERE if many else EVERYWHERE[:2]:
        yield from (form.format(each, each) for each in chain(*ODD.values()))
    if many:
        yield from (f"pa{chr(code)}ss" for code in chain(*ranges) if code % 13 == 0)


def differs(password: str, theirs: str) -> bool:
    """Say whether the server's verifier is another one than ours, of the same salt and iterations."""
    iterations, salt = theirs.split("$")[1].split(":")
    return verifier(password, base64.b64decode(salt), int(iterations)) != theirs


def test_a_password_is_prepared_as_the_server_does_it(server: PostgresServer, administrator: Connection) -> None:
    """Whoever sets it, and whoever logs in with it: psql, or we."""
    if is_cheap := knows(server.binaries, CHEAP):
        administrator.cursor().execute(f"set {CHEAP} = 1")
    asked = list(passwords(many=is_cheap))
    found = str(value(administrator, "select pg_temp.verifiers(%s)", (asked,))).split(" ")
    assert [ascii(each) for each, theirs in zip(asked, found, strict=True) if differs(each, theirs)] == []
    assert len({each.split("$")[2] for each in found}) == len(asked), "each has a salt of its own"


@pytest.mark.parametrize("set_by", ["the server", "us"])
def test_an_odd_password_logs_in(server: PostgresServer, administrator: Connection, set_by: str) -> None:
    """As copied out of a chat: with a space of no width in it."""
    password = "correct\u200bhorse"
    given = password if set_by == "the server" else verifier(password, b"salt" * 4)
    administrator.cursor().execute(f"alter role {ROLE} password '{given}'")
    same = "correct horse"
    for each in (password, same):
        with connected(server, user=ROLE, password=each) as connection:
            assert value(connection, "select current_user") == ROLE


def test_a_password_of_ascii_needs_no_tables() -> None:
    """Nor the time to load them."""
    sys.modules.pop("db.protocol.saslprep", None)
    verifier("correct horse\x01", b"salt")
    assert "db.protocol.saslprep" not in sys.modules
    verifier("correct hörse", b"salt")
    assert "db.protocol.saslprep" in sys.modules
