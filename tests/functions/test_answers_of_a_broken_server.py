"""What a client of the records API is answered while its server is full, read-only or crashes: never 500 nor late."""

import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from types import ModuleType
from typing import Any

import pytest

import migrations
from db import Database, DatabaseSettings, Tls
from local.postgres import PostgresServer
from tests.faults.server import (
    SMALL,
    Full,
    admin,
    backends,
    crash_backend,
    filled,
    make_read_only,
    ordinary_url,
    run,
    wait_until,
)
from tests.functions.conftest import Call, Context, Reply, as_client, v2_event
from tests.functions.test_answers_under_fault import REQUESTS

READS = frozenset({"GET", "GET page"})


@pytest.fixture(scope="module")
def _broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    with PostgresServer(tmp_path_factory.mktemp("broken") / "data", secrets.token_urlsafe(), settings=SMALL) as server:
        database = Database(DatabaseSettings(url=ordinary_url(server), tls=Tls.INSECURE_LOCAL_ONLY, pool_size=0))
        migrations.upgrade(database.engine)
        yield server


@pytest.fixture
def server(_broken: PostgresServer) -> PostgresServer:
    """A small server of this module's own, healthy at the test's start, with one record."""
    _broken.wait_until_ready()
    run(_broken, "truncate records, idempotency_keys restart identity")
    run(_broken, "insert into records (name, payload) values ('first', '{}')")
    return _broken


@pytest.fixture
def slot_wait_s() -> float:
    """How long it waits for a slot."""
    return 0.3


@pytest.fixture
def function(fresh: Callable[..., ModuleType], server: PostgresServer, slot_wait_s: float) -> ModuleType:
    """The records API; its role has no privileges."""
    variables = {"DB_TLS": "insecure-local-only", "DB_RESERVE_S": "4", "DB_SLOT_WAIT_S": str(slot_wait_s)}
    return fresh("records", DATABASE_URL=ordinary_url(server), **variables)


@pytest.fixture
def remaining_ms() -> int:
    """How long the function has for each answer."""
    return 15_000


@pytest.fixture
def call(function: ModuleType, remaining_ms: int) -> Call:
    """Call it, and be answered in time."""

    def send(method: str, path: str, body: Any = None, **parts: Any) -> Reply:  # noqa: ANN401 - JSON
        began = time.monotonic()
        answer = function.handler(v2_event(method, path, body, **parts), Context(remaining_ms=remaining_ms))
        assert time.monotonic() - began < remaining_ms / 1000
        return as_client(answer)

    return send


def require_come_again(reply: Reply) -> None:
    assert reply.status == 503
    assert int(reply.headers["retry-after"]) >= 1


def require_done(server: PostgresServer, reply: Reply, request_name: str) -> None:
    """The right answer, and the work done once."""
    assert reply.status == REQUESTS[request_name][1]
    written = run(server, "select count(*) from records where name = 'second'")
    assert written == [(1 if request_name.startswith(("POST", "PUT")) else 0,)]


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize("what", Full)
def test_a_client_of_a_full_server_is_asked_to_come_again(
    call: Call, server: PostgresServer, what: Full, request_name: str
) -> None:
    """Row 7: 53300: 503 with Retry-After, and nothing done."""
    with filled(server, what):
        require_come_again(REQUESTS[request_name][0](call))
    assert run(server, "select name from records") == [("first",)]


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize("slot_wait_s", [5])
def test_a_client_is_served_as_soon_as_there_is_a_slot(
    call: Call, function: ModuleType, server: PostgresServer, monkeypatch: pytest.MonkeyPatch, request_name: str
) -> None:
    """Row 7: 53300, for a moment: the right answer."""
    waits: list[float] = []
    with filled(server, Full.ROLE) as free:

        def wait(wait_s: float) -> None:
            waits.append(wait_s)
            free()
            time.sleep(0.02)

        monkeypatch.setattr(function.database._member._queue, "_sleep", wait)
        reply = REQUESTS[request_name][0](call)
    assert waits, "it was refused at first"
    require_done(server, reply, request_name)


@pytest.fixture
def read_only(function: ModuleType, server: PostgresServer) -> Iterator[ModuleType]:
    """The function, whose server takes no writes until the test ends."""
    make_read_only(server)
    yield function
    make_read_only(server, read_only=False)


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize("remaining_ms", [6000])
@pytest.mark.usefixtures("read_only", "remaining_ms")
def test_a_server_that_takes_no_writes_still_answers(call: Call, server: PostgresServer, request_name: str) -> None:
    """Row 9: 25006: reads have the right answer; who writes is asked to come again, and nothing is done."""
    reply = REQUESTS[request_name][0](call)
    if request_name in READS:
        assert reply.status == 200
    else:
        require_come_again(reply)
    assert run(server, "select name from records") == [("first",)]


@pytest.mark.parametrize("request_name", REQUESTS)
def test_a_crash_while_the_connection_idles_is_not_noticed(
    call: Call, server: PostgresServer, request_name: str
) -> None:
    """Row 2: 57P02 waits in the socket, 57P03 is waited for; the right answer."""
    assert call("GET", "/records/1").status == 200
    crash_backend(server)
    require_done(server, REQUESTS[request_name][0](call), request_name)


@pytest.mark.parametrize("request_name", REQUESTS)
def test_a_crash_in_a_statement_is_not_noticed(call: Call, server: PostgresServer, request_name: str) -> None:
    """Row 2: 57P02 ends the statement, 57P03 is waited for, and the work is run again."""
    with ThreadPoolExecutor(1) as threads, closing(admin(server)) as session:
        session.execute("begin")
        session.execute("lock table records")
        answer = threads.submit(REQUESTS[request_name][0], call)
        wait_until(lambda: backends(server, "wait_event_type = 'Lock'"))
        crash_backend(server)
        require_done(server, answer.result(), request_name)
