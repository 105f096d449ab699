"""Logging in: flights, methods, passwords, and what is learnt for the next time. On a real server."""

from collections.abc import Callable

import pytest

from db.deadline import Deadline
from db.protocol.connection import connect
from db.protocol.opening import Habits
from db.protocol.server_errors import DisconnectedError, ServerOperationalError, sqlstate_of
from local.postgres import PostgresServer
from tests.faults.proxy import Action, Fault, Proxy
from tests.integration.login.conftest import METHODS
from tests.integration.wire import connected, options, value


def test_scram_takes_two_flights(server: PostgresServer, proxy: Proxy) -> None:
    """The first message of the exchange travels with the StartupMessage."""
    with connected(server, proxy.port):
        assert proxy.traffic().flights == 2


@pytest.mark.parametrize("method", METHODS)
def test_every_method_lets_in_and_is_remembered(server: PostgresServer, proxy: Proxy, method: str) -> None:
    """Where the short way does not lead in, the ordinary one does; the next time it is taken at once."""
    habits = Habits()
    for connections in (1 if method == "scram-sha-256" else 2, 1):
        before = proxy.traffic()
        with connected(server, proxy.port, user=method, habits=habits) as connection:
            assert value(connection, "select session_user::text") == method
        assert (proxy.traffic() - before).connections == connections


@pytest.mark.parametrize("method", ["scram-sha-256", "md5", "password"])
def test_a_wrong_password_is_refused_with_its_sqlstate(server: PostgresServer, method: str) -> None:
    """By every method; and it is not asked for twice by the same one."""
    for user in (method, "nobody"):
        with pytest.raises(ServerOperationalError) as caught:
            connect(options(server, user=user, password="wrong"), deadline=Deadline.after(10))
        assert sqlstate_of(caught.value) == "28P01"


def _first_only(action: Action) -> Callable[[int], list[Fault]]:
    return lambda number: [Fault(action)] if number == 1 else []


@pytest.mark.parametrize("action", [Action.CLOSE, Action.RESET])
def test_a_connection_that_was_dropped_once_makes_no_later_login_longer(
    server: PostgresServer, proxy: Proxy, action: Action
) -> None:
    """A server that went down at the wrong moment has refused nothing: the next login is begun early again."""
    habits = Habits()
    proxy.faults = _first_only(action)
    for connections, flights in ((2, 3), (1, 2)):
        before = proxy.traffic()
        with connected(server, proxy.port, habits=habits) as connection:
            seen = proxy.traffic() - before
            assert value(connection, "select 1") == 1
        assert (seen.connections, seen.flights) == (connections, flights)


def test_a_server_that_always_hangs_up_on_an_early_login_is_remembered(server: PostgresServer, proxy: Proxy) -> None:
    """One that says nothing about it, too: by the second time."""
    habits = Habits()
    proxy.faults = lambda number: [Fault(Action.CLOSE)] if number in {1, 3} else []
    for connections in (2, 2, 1):
        before = proxy.traffic()
        with connected(server, proxy.port, habits=habits):
            assert (proxy.traffic() - before).connections == connections


def test_nothing_is_learnt_where_the_ordinary_way_fails_too(server: PostgresServer, proxy: Proxy) -> None:
    """What it was refused for is not known then."""
    habits = Habits()
    proxy.faults = lambda number: [Fault(Action.CLOSE)] if number > 1 else []
    for changes in ({"user": "trust"}, {"optional": {"no_such_setting": "1"}}):
        proxy.links.clear()
        with pytest.raises(DisconnectedError):
            connect(options(server, proxy.port, **changes), deadline=Deadline.after(10), habits=habits)
        assert not habits.refuse_early
        assert not habits.refuse_parameters


def test_a_token_is_given_as_it_is_asked_for(server: PostgresServer, proxy: Proxy) -> None:
    """An IAM token is not SCRAM's: no connection is spent on finding that out."""
    with connected(server, proxy.port, user="password", begins_scram=False):
        assert proxy.traffic().connections == 1


def test_an_unknown_parameter_is_left_out_and_remembered(server: PostgresServer, proxy: Proxy) -> None:
    """An older server has fewer settings: they are wishes."""
    habits = Habits()
    for connections in (2, 1):
        before = proxy.traffic()
        with connected(server, proxy.port, habits=habits, optional={"no_such_setting": "1"}) as connection:
            assert value(connection, "select 1") == 1
        assert (proxy.traffic() - before).connections == connections


def test_parameters_travel_with_the_login(server: PostgresServer, proxy: Proxy) -> None:
    """They cost no flight."""
    with connected(server, proxy.port, optional={"search_path": "elsewhere"}) as connection:
        assert proxy.traffic().flights == 2
        assert value(connection, "show search_path") == "elsewhere"


@pytest.mark.parametrize("password", ["plain", "pä ß wörd", "Ⅸ\u00ad", "\u0627\u0031", " ", "a,b=c"])
def test_every_password_that_the_server_takes(server: PostgresServer, password: str) -> None:
    """Also those that SASLprep changes, or refuses."""
    with connected(server, autocommit=True) as connection:
        quoted = password.replace("'", "''")
        connection.cursor().execute(f"alter role \"scram-sha-256\" password '{quoted}'")
        try:
            with connected(server, user="scram-sha-256", password=password) as other:
                assert value(other, "select 1") == 1
        finally:
            connection.cursor().execute(f"alter role \"scram-sha-256\" password '{server.password}'")
