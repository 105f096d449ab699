"""What a client of the records API is answered while connections break: never 500, never late."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import pytest
from psycopg import Connection

from local.postgres import PostgresServer
from tests.faults.proxy import Action, Direction, Fault, Proxy
from tests.faults.server import admin, run, terminate
from tests.functions.conftest import Call, Context, Reply, as_client, v2_event

NAME = "answers-under-fault"
REMAINING_MS = 15_000
HURRIED_MS, RESERVE_S = 6500, 4
"""With two and a half seconds for the database, and four for the answer: nobody is late for want of a processor."""
SILENCE_S = 0.5
IDLE_IN_TRANSACTION_S = 0.2
TOO_LONG_IN_TRANSACTION_S = 0.4
"""For so long a reply is on its way, and the server waits for the next statement: short enough for a sign of life."""
COMMIT = b"commit\0"


@pytest.fixture
def proxy(no_records: PostgresServer) -> Iterator[Proxy]:
    with Proxy(no_records.port) as proxy:
        yield proxy


@pytest.fixture
def function(fresh: Callable[..., ModuleType], no_records: PostgresServer, proxy: Proxy) -> ModuleType:
    """The records API, through the proxy."""
    variables = {
        "DATABASE_URL": no_records.url(port=proxy.port),
        "DB_TLS": "insecure-local-only",
        "DB_SILENCE_S": str(SILENCE_S),
        "DB_IDLE_IN_TRANSACTION_S": str(IDLE_IN_TRANSACTION_S),
        "DB_SLOT_WAIT_S": "0.5",  # behind a pooler its queue may be as silent for so much longer
        "DB_RESERVE_S": str(RESERVE_S),
        "DB_APPLICATION_NAME": NAME,
    }
    return fresh("records", **variables)


def within(remaining_ms: int, function: ModuleType) -> Call:
    """Return what calls the function, and is answered in time."""

    def send(method: str, path: str, body: Any = None, **parts: Any) -> Reply:  # noqa: ANN401 - JSON
        began = time.monotonic()
        answer = function.handler(v2_event(method, path, body, **parts), Context(remaining_ms=remaining_ms))
        assert time.monotonic() - began < remaining_ms / 1000
        return as_client(answer)

    return send


@pytest.fixture
def call(function: ModuleType, no_records: PostgresServer) -> Call:
    """Call it, warm, with more time than anything takes that can be done; record 1 is there.

    Put there without a request: a machine that stalls makes two of one, and leaves a gap in the place of the first id.
    """
    run(no_records, "insert into records (name, payload) values ('first', '{}')")
    send = within(REMAINING_MS, function)
    assert send("GET", "/records/1").status == 200
    return send


@pytest.fixture
def hurried(call: Call, function: ModuleType) -> Call:  # noqa: ARG001 - which has warmed it
    """Call it where nothing can be done, until its time is up."""
    return within(HURRIED_MS, function)


NEW = {"name": "second", "payload": {}}
REQUESTS: dict[str, tuple[Callable[[Call], Reply], int]] = {
    "GET": (lambda call: call("GET", "/records/1"), 200),
    "GET page": (lambda call: call("GET", "/records", query={"name_prefix": "f"}), 200),
    "POST": (lambda call: call("POST", "/records", NEW), 201),
    "POST with key": (lambda call: call("POST", "/records", NEW, idempotency_key="k"), 201),
    "POST batch": (lambda call: call("POST", "/records/batch", {"items": [NEW]}), 201),
    "PUT": (lambda call: call("PUT", "/records/1", NEW, if_match='"1"'), 200),
    "DELETE": (lambda call: call("DELETE", "/records/1"), 204),
}
SURVIVED: dict[str, Callable[[PostgresServer, Proxy], object]] = {
    "reset while idle": lambda _, proxy: proxy.end(Action.RESET),
    "closed while idle": lambda _, proxy: proxy.end(Action.CLOSE),
    "silent while idle": lambda _, proxy: proxy.end(Action.SWALLOW),
    "57P01 while idle": lambda server, _: terminate(server, f"application_name = '{NAME}'"),
    "reset in the first reply": lambda _, proxy: proxy.inject(Fault(Action.RESET, after_bytes=40)),
    "reset in the first flight": lambda _, proxy: proxy.inject(
        Fault(Action.RESET, Direction.TO_SERVER, after_bytes=40)
    ),
    "answer to COMMIT lost": lambda _, proxy: proxy.inject(Fault(Action.RESET, once_sent=COMMIT)),
    "no answer to COMMIT": lambda _, proxy: proxy.inject(Fault(Action.STOP, once_sent=COMMIT)),
    "reset behind the record's statement": lambda _, proxy: proxy.inject(
        Fault(Action.RESET, Direction.TO_SERVER, once_sent=b"records")
    ),
    "reset behind the key's statement": lambda _, proxy: proxy.inject(
        Fault(Action.RESET, Direction.TO_SERVER, once_sent=b"idempotency_keys")
    ),
    "silent behind the record's statement": lambda _, proxy: proxy.inject(
        Fault(Action.SWALLOW, Direction.TO_SERVER, once_sent=b"records")
    ),
    "silent behind the key's statement": lambda _, proxy: proxy.inject(
        Fault(Action.SWALLOW, Direction.TO_SERVER, once_sent=b"idempotency_keys")
    ),
    "25P03 behind the first statement": lambda _, proxy: proxy.inject(
        Fault(Action.DELAY, seconds=TOO_LONG_IN_TRANSACTION_S)
    ),
}


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize("fault", SURVIVED)
def test_the_client_does_not_notice(
    call: Call, no_records: PostgresServer, proxy: Proxy, fault: str, request_name: str
) -> None:
    """Rows 1, 3, 5, 11, 12 and 21: the answer is the right one, and the work is done once."""
    request, status = REQUESTS[request_name]
    SURVIVED[fault](no_records, proxy)
    assert request(call).status == status
    written = run(no_records, "select count(*) from records where name = 'second'")
    assert written == [(1 if request_name.startswith(("POST", "PUT")) else 0,)]


@pytest.mark.parametrize("request_name", REQUESTS)
def test_the_client_is_asked_to_come_again_while_nothing_can_be_done(
    hurried: Call, proxy: Proxy, request_name: str
) -> None:
    """Row 13: the server is away: 503 with Retry-After, in time."""
    proxy.refuse()
    proxy.end()
    refused = REQUESTS[request_name][0](hurried)
    assert refused.status == 503
    assert int(refused.headers["retry-after"]) >= 1


def test_the_client_is_asked_to_come_again_when_a_commit_is_in_doubt(
    call: Call, hurried: Call, no_records: PostgresServer, proxy: Proxy
) -> None:
    """Row 21: with its key it may; the work that was done is not done again."""
    proxy.inject(Fault(Action.RESET, once_sent=COMMIT))
    port, proxy.upstream_port = proxy.upstream_port, 1  # nobody is there to be asked
    assert REQUESTS["POST with key"][0](hurried).status == 503
    proxy.upstream_port = port
    assert REQUESTS["POST with key"][0](call).status == 201
    assert run(no_records, "select count(*) from records where name = 'second'") == [(1,)]


@contextmanager
def locked(server: PostgresServer, *tables: str) -> Iterator[Connection[Any]]:
    """A session that holds tables which others want."""
    with admin(server) as session:
        session.execute("begin")
        session.execute(f"lock table {', '.join(tables)}")
        yield session


@pytest.mark.parametrize("request_name", REQUESTS)
def test_the_client_is_asked_to_come_again_when_a_statement_takes_too_long(
    call: Call, hurried: Call, no_records: PostgresServer, request_name: str
) -> None:
    """Row 6: 57014: 503 with Retry-After, in time; nothing is done, and the next request is served."""
    with locked(no_records, "records"):
        refused = REQUESTS[request_name][0](hurried)
    assert refused.status == 503
    assert int(refused.headers["retry-after"]) >= 1
    assert run(no_records, "select name from records") == [("first",)]
    request, status = REQUESTS[request_name]
    assert request(call).status == status


INTO_THE_DEADLOCK = """do $$ begin
  while not exists (select from pg_locks where relation = 'records'::regclass and not granted) loop
    perform pg_sleep(0.01);
  end loop;
  insert into idempotency_keys (key, fingerprint) values ('k', '');
end $$"""
"""The server itself sees that the request waits, and has its holder wait for the request at once."""


def test_the_victim_of_a_deadlock_is_answered_as_if_nothing_had_been(call: Call, no_records: PostgresServer) -> None:
    """40P01: it holds its key and waits for the table, whose holder waits for the key; the work is run again."""
    with ThreadPoolExecutor(1) as threads, locked(no_records, "records") as session:
        session.execute("set local deadlock_timeout = '60s'")  # the request is the victim
        answer = threads.submit(REQUESTS["POST with key"][0], call)
        session.execute(INTO_THE_DEADLOCK)
        session.execute("rollback")
        assert answer.result().status == 201
    assert run(no_records, "select count(*) from records where name = 'second'") == [(1,)]


def test_conflicts_stay_conflicts(call: Call, proxy: Proxy) -> None:
    """A repeat of lost work meets the same refusals as the work itself."""
    proxy.end()
    assert call("POST", "/records", {"name": "first", "payload": {}}).status == 409
    proxy.end()
    assert call("PUT", "/records/1", NEW, if_match='"7"').status == 412
