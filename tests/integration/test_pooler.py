"""Behind PgBouncer in transaction mode: nothing is asked of a session, nothing leaks into one, and deadlines hold.

That everything else works there too is shown by the other tests: `make pooler` runs them through it.
"""

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import text

from db import ConfigurationError, Database, DatabaseSettings, DeadlineExceededError, LoginRefusedError, Pin, Tls
from db.observation import Silence
from db.settings import Mode
from local.pgbouncer import PgBouncer
from local.postgres import PostgresServer
from tests.faults.server import run, wait_until

Client = Callable[..., Database]


class Facts(list[Pin], Silence):
    """An observer that keeps what pins."""

    def pins(self, pin: Pin) -> None:
        self.append(pin)


@pytest.fixture(scope="module")
def pooler(server_itself: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PgBouncer]:
    """A pooler that lends one session to all its clients."""
    with PgBouncer(server_itself, tmp_path_factory.mktemp("pooler"), pool_size=1) as pooler:
        yield pooler


@pytest.fixture
def facts() -> Facts:
    return Facts()


@pytest.fixture
def client(pooler: PgBouncer, facts: Facts, pool_size: int) -> Iterator[Client]:
    """Make clients of the pooler, closed at the end."""
    made: list[Database] = []

    def make(**settings: Any) -> Database:  # noqa: ANN401 - the test names the fields
        options: dict[str, Any] = {"tls": Tls.INSECURE_LOCAL_ONLY, "mode": Mode.POOLER, "pool_size": pool_size}
        options |= {"url": pooler.server.url(), "port": pooler.port, **settings}
        made.append(Database(DatabaseSettings(**options), observer=facts))
        return made[-1]

    yield make
    for database in made:
        assert database.pool_state().borrowed == 0
        database.close()


def behind(pooler: PgBouncer, sql: str) -> Any:  # noqa: ANN401 - any value
    """Ask the session that the pooler lends, with a client of no deadline and no transaction of ours."""
    through = PostgresServer(pooler.server.directory, pooler.server.password, port=pooler.port)
    ((value,),) = run(through, sql)
    return value


def test_one_session_serves_many_clients_statement_by_statement(client: Client, pooler: PgBouncer) -> None:
    """Each keeps its connection to the pooler; none keeps the session behind it."""
    sessions = set()
    clients = [client() for _ in range(4)]
    for _ in range(3):
        for database in clients:
            for borrow in (database.transaction, database.autocommit):
                with borrow() as connection:
                    sessions.add(connection.scalar(text("select pg_backend_pid() where :n = 1"), {"n": 1}))
    assert sessions == {behind(pooler, "select pg_backend_pid()")}


def test_limits_hold_in_the_transaction_and_end_with_it(client: Client, pooler: PgBouncer) -> None:
    """Time for statements and between them is limited by SET LOCAL with BEGIN; the next client meets nothing of it."""
    database = client(idle_in_transaction_s=7.0)
    before = behind(pooler, "show idle_in_transaction_session_timeout")
    with database.invocation(5000), database.transaction() as connection:
        assert connection.scalar(text("show statement_timeout")) != "0"
        assert connection.scalar(text("show idle_in_transaction_session_timeout")) == "7s"
    with database.invocation(5000), database.autocommit() as connection:
        assert connection.scalar(text("show statement_timeout")) != "0"
    assert behind(pooler, "show statement_timeout") == "0"
    assert behind(pooler, "show idle_in_transaction_session_timeout") == before


def test_a_statement_ends_at_the_deadline(client: Client, pooler: PgBouncer) -> None:
    """In a transaction and alone; the session is free for the next client."""
    database = client()
    for borrow in (database.transaction, database.autocommit):
        with pytest.raises(DeadlineExceededError), database.invocation(2500), borrow() as connection:
            connection.execute(text("select pg_sleep(60)"))
    assert behind(pooler, "select 1") == 1


def test_a_transaction_that_its_client_leaves_gives_the_session_back(client: Client, pooler: PgBouncer) -> None:
    """What a frozen environment holds is free when its idle time is over."""
    database = client(idle_in_transaction_s=0.5)
    with database.engine.connect() as connection:
        connection.execute(text("select 1"))
        assert behind(pooler, "select 1") == 1
        connection.invalidate()


def test_the_queue_of_a_pooler_is_no_silence(client: Client) -> None:
    """A client that waits for a session is answered when there is one, however long a server may be silent."""
    holder, waiting = client(idle_in_transaction_s=30.0), client(silence_s=0.2)
    answered: list[object] = []

    def wait() -> None:
        with waiting.autocommit() as connection:
            answered.append(connection.scalar(text("select 1")))

    with holder.transaction() as connection:
        connection.execute(text("select 1"))
        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(1)
        assert not answered
    thread.join(10)
    assert answered == [1]


def test_the_wait_in_the_queue_ends_at_the_deadline(client: Client) -> None:
    """In a typed error, in time to answer."""
    holder, waiting = client(idle_in_transaction_s=30.0), client()
    with holder.transaction() as connection:
        connection.execute(text("select 1"))
        began = time.monotonic()
        with pytest.raises(DeadlineExceededError), waiting.invocation(3000), waiting.autocommit() as other:
            other.execute(text("select 1"))
        assert time.monotonic() - began < 10


def test_a_wrong_password_is_a_refused_login(client: Client, pooler: PgBouncer) -> None:
    """Though PgBouncer has another SQLSTATE for it: the secret is asked for again, as it should be."""
    url = pooler.server.url(password="wrong")
    with pytest.raises(LoginRefusedError, match="28P01"), client(url=url).autocommit():
        pass


def test_what_pins_is_named_once(client: Client, facts: Facts) -> None:
    """With the reason, and without a value; what is done for a transaction only is not."""
    database = client()
    for number in range(3):
        with database.transaction() as connection:
            connection.execute(text("set local work_mem = '1MB'"))
            connection.execute(text("select pg_advisory_xact_lock(1)"))
            connection.execute(text("select pg_advisory_lock(:key)"), {"key": number})
            connection.execute(text("select pg_advisory_unlock_all()"))
    assert [(pin.text, pin.reason) for pin in facts] == [("select pg_advisory_lock(?)", "it changes the session")]


def test_a_connection_that_pinned_a_session_ends_with_its_borrow(client: Client, pool_size: int) -> None:
    """So that RDS Proxy gets the session back; one that did not is kept."""
    database = client()
    with database.autocommit() as connection:
        connection.execute(text("select 1"))
    assert database.pool_state().idle == pool_size
    with database.transaction() as connection:
        connection.execute(text("select pg_advisory_lock(1), pg_advisory_unlock(1)"))
        raw = connection.connection.dbapi_connection
    assert not raw.is_alive()  # type: ignore[union-attr]  # ours has it


def test_a_setting_of_the_sessions_own_is_refused(client: Client) -> None:
    """At the start, with what to do instead."""
    with pytest.raises(ConfigurationError, match="alter role"):
        client(search_path="other")


def test_nobody_waits_in_vain_for_a_lease(client: Client, pooler: PgBouncer) -> None:
    """No startup parameter is sent, nothing rides along: the session's settings are the role's."""
    database = client()
    with database.transaction() as connection:
        connection.execute(text("select 1"))
    assert behind(pooler, "show idle_session_timeout") == "0"
    wait_until(lambda: behind(pooler, "show client_connection_check_interval") == "0")
