"""Connecting by URL: what is taken of pg8000's options, and whom the server is verified by. Opens no socket."""

import ssl
from typing import Any

import pytest
from sqlalchemy import create_engine

from db.dialect import SlotwiseDialect, options_from
from db.tls import system_context


@pytest.mark.parametrize(
    "option",
    [
        {"unix_sock": "/run/postgresql/.s.PGSQL.5432"},
        {"source_address": ("127.0.0.1", 0)},
        {"replication": "database"},
        {"tcp_keepalive": False},
        {"nonsense": "1"},
    ],
    ids=str,
)
def test_an_option_that_is_not_taken_is_refused_by_name(option: dict[str, Any]) -> None:
    """Nobody is connected to elsewhere, or otherwise, than he asked for."""
    engine = create_engine("postgresql+slotwise://me@127.0.0.1:1/mine", connect_args=option)
    with pytest.raises(TypeError, match=next(iter(option))):
        engine.connect()


def test_an_option_of_none_is_none() -> None:
    """As pg8000's own defaults are."""
    with pytest.raises(TypeError, match="user"):
        SlotwiseDialect().connect(user=None, unix_sock=None)


def test_the_options_that_are_taken() -> None:
    """A URL gives the port as a number, its query as text."""
    options = options_from(
        user="me",
        password="secret",
        host="::1",
        port="6432",
        application_name="tool",
        startup_params={"work_mem": "8MB"},
    )
    assert (options.user, options.password, str(options.address)) == ("me", "secret", "::1:6432")
    assert options.required == {"database": "me", "application_name": "tool", "work_mem": "8MB"}


@pytest.mark.parametrize(
    ("host", "asked", "verifies"),
    [
        ("localhost", None, False),
        ("127.0.0.1", None, False),
        ("127.0.0.1", True, True),
        ("db.example", None, True),
        ("db.example", True, True),
        ("db.example", False, False),
    ],
)
def test_the_process_s_one_context_verifies_by_the_system_s_authorities(
    host: str, *, asked: bool | None, verifies: bool
) -> None:
    """Curve and ALPN included; parsed once, not at each connect. Plaintext is asked for, or stays on this machine."""
    address = options_from(user="me", host=host, ssl_context=asked).address
    assert address.tls is (system_context() if verifies else None)
    assert address.with_any_curve().tls is (system_context(any_curve=True) if verifies else None)


def test_a_context_of_one_s_own_is_used() -> None:
    """Whatever it trusts."""
    own = ssl.create_default_context()
    address = options_from(user="me", ssl_context=own).address
    assert address.tls is address.with_any_curve().tls is own
