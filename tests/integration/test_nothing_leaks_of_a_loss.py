"""Promise 5 where it is our own error that ends a statement: from below SQLAlchemy, and with its values in hand."""

import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Connection, text

from db import CommitUnknownError, Database, DeadlineExceededError, UnreachableError
from local.postgres import PostgresServer
from tests.canary import VALUE
from tests.faults.proxy import Action, Fault, Proxy
from tests.faults.server import backends, wait_until
from tests.reporters import Hidden, everything_shown

STATEMENT = text("select cast(:value as text), pg_sleep(:pause_s)")
WRITE = text("create temporary table if not exists lost as select cast(:value as text), pg_sleep(:pause_s)")


@pytest.fixture
def proxy(postgres: PostgresServer) -> Iterator[Proxy]:
    """A proxy of the test's own before the shared server."""
    with Proxy(postgres.port) as running:
        yield running


@pytest.fixture
def proxied(make_database: Callable[..., Database], postgres: PostgresServer, proxy: Proxy, pool_size: int) -> Database:
    """A Database behind the proxy, once with each kind of pool."""
    return make_database(postgres.url(port=proxy.port), pool_size=pool_size, connect_timeout_s=2)


def run(connection: Connection, pause_s: float = 0) -> None:
    value = Hidden(VALUE)
    connection.execute(STATEMENT, {"value": value(), "pause_s": pause_s})


def lose(proxy: Proxy) -> None:
    """Reset the connections when the server next answers, and let no new one in."""
    proxy.refuse()
    proxy.inject(Fault(Action.RESET))


def assert_nothing_is_shown(error: BaseException, place: str = "in run") -> None:
    seen = everything_shown(error)
    assert place in seen, "the handler's own line stays"
    assert VALUE not in seen


def test_a_statement_for_which_no_time_is_left_shows_no_value(database: Database) -> None:
    """It was put together, and not sent."""
    with pytest.raises(DeadlineExceededError) as raised, database.invocation(2500), database.transaction() as lent:
        time.sleep(max(database.deadline().remaining_s(), 0))
        run(lent)
    assert_nothing_is_shown(raised.value)


def test_a_statement_whose_server_is_gone_shows_no_value(proxied: Database, proxy: Proxy) -> None:
    """Neither what was lost nor what kept from sending it again."""
    with pytest.raises(UnreachableError) as raised, proxied.invocation(15_000), proxied.transaction() as lent:
        lose(proxy)
        run(lent)
    assert_nothing_is_shown(raised.value)


def test_a_write_of_which_nobody_knows_shows_no_value(proxied: Database, proxy: Proxy) -> None:
    """In autocommit: the loss that led to it comes from the driver's frames alone."""
    value = Hidden(VALUE)
    with pytest.raises(CommitUnknownError) as raised, proxied.invocation(15_000), proxied.autocommit() as lent:
        lent.execute(text("select 1"))
        lose(proxy)
        lent.execute(WRITE, {"value": value(), "pause_s": 0})
    assert_nothing_is_shown(raised.value, "in test_a_write")


class Interruption(BaseException):
    """Of the kind of KeyboardInterrupt, which pytest does not take for its own."""


def test_an_interrupted_statement_shows_no_value(database: Database, server_itself: PostgresServer) -> None:
    """Whatever a signal's handler raises."""

    def interrupt(*_: object) -> None:
        raise Interruption

    def signal_once_it_runs(thread_id: int) -> None:
        wait_until(lambda: backends(server_itself, "state = 'active' and query like '%%pg_sleep%%'"))
        signal.pthread_kill(thread_id, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, interrupt)
    thread = threading.Thread(target=signal_once_it_runs, args=(threading.get_ident(),))
    try:
        with pytest.raises(Interruption) as raised, database.transaction() as lent:
            thread.start()
            run(lent, pause_s=30)
    finally:
        thread.join()
        signal.signal(signal.SIGUSR1, before)
    assert_nothing_is_shown(raised.value)
