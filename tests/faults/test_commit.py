"""Row 21: COMMIT is sent and its answer is lost; the handler still learns what became of its work."""

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import Connection, insert, text

from db import CommitUnknownError, ConnectionLostError, Database, Deadline
from local.postgres import PostgresServer
from tests.faults.lost_commits import COMMIT, INSERT, LostCommit, applied
from tests.faults.proxy import Action, Direction, Fault, Proxy
from tests.faults.server import backends, run, wait_until
from tests.noticing import Noticed

pytestmark = pytest.mark.usefixtures("lost_commits")

SILENCE_S = 2.0
PROXIED = "application_name = 'proxied'"


@pytest.mark.parametrize("action", [Action.RESET, Action.CLOSE, Action.STOP, Action.SWALLOW])
@pytest.mark.parametrize("after_bytes", [0, 5, 10])
@pytest.mark.parametrize("silence_s", [SILENCE_S])
def test_a_commit_whose_answer_is_lost_is_known_to_be_done(
    proxied: Database, postgres: PostgresServer, proxy: Proxy, action: Action, after_bytes: int, noticed: Noticed
) -> None:
    """Row 21: the server has committed; the handler gets its success, and the work is there once."""
    with proxied.transaction() as connection:
        connection.execute(INSERT)
        proxy.inject(Fault(action, after_bytes=after_bytes, once_sent=COMMIT))
        struck_at = time.monotonic()
    noticed(21, time.monotonic() - struck_at, SILENCE_S)
    assert applied(postgres) == 1


@pytest.mark.parametrize("action", [Action.RESET, Action.CLOSE])
@pytest.mark.parametrize("after_bytes", [0, 5, 11])
def test_a_commit_that_never_arrived_is_known_to_be_undone(
    proxied: Database, postgres: PostgresServer, proxy: Proxy, action: Action, after_bytes: int, noticed: Noticed
) -> None:
    """Row 21: the server has not got the whole COMMIT; the handler hears that nothing was committed."""
    with pytest.raises(ConnectionLostError), proxied.transaction() as connection:
        connection.execute(INSERT)
        proxy.inject(Fault(action, Direction.TO_SERVER, after_bytes=after_bytes))
        struck_at = time.monotonic()
    noticed(21, time.monotonic() - struck_at, SILENCE_S)
    assert applied(postgres) == 0


@pytest.mark.parametrize("after_bytes", [0, 11])
@pytest.mark.parametrize("silence_s", [SILENCE_S])
def test_a_commit_that_nobody_heard_is_ended_and_undone(
    proxied: Database, postgres: PostgresServer, proxy: Proxy, after_bytes: int, noticed: Noticed
) -> None:
    """Row 21: its session still waits for a COMMIT that was swallowed; it is ended, so that the outcome is final."""
    with pytest.raises(ConnectionLostError), proxied.transaction() as connection:
        connection.execute(INSERT)
        proxy.inject(Fault(Action.SWALLOW, Direction.TO_SERVER, after_bytes=after_bytes))
        struck_at = time.monotonic()
    noticed(21, time.monotonic() - struck_at, SILENCE_S)
    assert applied(postgres) == 0
    wait_until(lambda: not backends(postgres, f"{PROXIED} and state like 'idle in transaction%'"))


@pytest.mark.parametrize("silence_s", [3.0])
def test_a_session_that_is_slow_to_end_is_asked_after_soon(
    proxied: Database, postgres: PostgresServer, proxy: Proxy
) -> None:
    """Row 21: it was told to end while its process did not run; who waits hears of its end when that has come."""
    went_on_at = []

    def go_on_once_told(pid: int) -> None:
        wait_until(lambda: is_told_to_end(pid))
        wait_until(lambda: backends(postgres, f"{PROXIED} and state = 'idle' and query like '%pg_xact_status%'"))
        went_on_at.append(time.monotonic())
        os.kill(pid, signal.SIGCONT)

    with pytest.raises(ConnectionLostError), proxied.transaction() as connection:
        connection.execute(INSERT)
        [pid] = backends(postgres, PROXIED)
        os.kill(pid, signal.SIGSTOP)
        proxy.inject(Fault(Action.SWALLOW, Direction.TO_SERVER))
        waker = Thread(target=go_on_once_told, args=[pid])
        waker.start()
    assert time.monotonic() - went_on_at[0] < SILENCE_S
    waker.join()
    assert applied(postgres) == 0


def is_told_to_end(pid: int) -> bool:
    """Say whether SIGTERM waits for the process to run again."""
    [pending] = re.findall(r"ShdPnd:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    return bool(int(pending, 16) & 1 << signal.SIGTERM - 1)


def test_run_transaction_repeats_a_commit_that_never_arrived(
    proxied: Database, postgres: PostgresServer, proxy: Proxy
) -> None:
    """Row 21: known to be undone, the work is safe to run again, and is."""
    runs = []

    def work(connection: Connection) -> None:
        connection.execute(INSERT)
        runs.append(1)
        if len(runs) == 1:
            proxy.inject(Fault(Action.RESET, Direction.TO_SERVER))

    proxied.run_transaction(work)
    assert (len(runs), applied(postgres)) == (2, 1)


def test_a_transaction_that_only_reads_has_nothing_in_doubt(
    proxied: Database, postgres: PostgresServer, proxy: Proxy
) -> None:
    """Row 21: it is given no id, and a lost answer to its COMMIT is nobody's loss."""
    before = run(postgres, "select pg_snapshot_xmax(pg_current_snapshot())")
    with proxied.transaction() as connection:
        assert connection.scalar(text("select count(*) from lost_commits")) == 0
        proxy.inject(Fault(Action.RESET, once_sent=COMMIT))
    assert run(postgres, "select pg_snapshot_xmax(pg_current_snapshot())") == before


def end_in_three_seconds(database: Database, connection: Connection) -> float:
    """Have the deadline three seconds from now, however long the connect took; return when now is."""
    session: Any = connection.connection.dbapi_connection
    database._invocation = session.deadline = Deadline.after(3)
    return time.monotonic()


def test_only_an_unreachable_server_leaves_a_commit_in_doubt(
    make_database: Callable[..., Database],
    postgres: PostgresServer,
    proxy: Proxy,
    noticed: Noticed,
) -> None:
    """Row 21: the error says unknown, carries the id that answers the question later, and comes by the deadline."""
    url = postgres.url(port=proxy.port)
    database = make_database(url, reserve_s=0.5)
    with (
        pytest.raises(CommitUnknownError) as caught,
        database.invocation(60_000),
        database.transaction() as connection,
    ):
        began = end_in_three_seconds(database, connection)
        connection.execute(INSERT)
        proxy.inject(Fault(Action.RESET, once_sent=COMMIT))
        proxy.refuse()
    noticed(21, time.monotonic() - began, 3.0)
    assert run(postgres, "select pg_xact_status(%(xid)s::text::xid8)", xid=str(caught.value.xid)) == [("committed",)]


def test_a_late_write_in_autocommit_is_in_doubt_also_where_no_time_is_kept_back(
    make_database: Callable[..., Database], postgres: PostgresServer, proxy: Proxy
) -> None:
    """Row 21: the server has it, and cannot even be asked to stop; nobody is told that it was only too late."""
    url = postgres.url(port=proxy.port)
    database = make_database(url, reserve_s=0.0, silence_s=30)
    with pytest.raises(CommitUnknownError), database.invocation(60_000), database.autocommit() as connection:
        end_in_three_seconds(database, connection)
        proxy.inject(Fault(Action.SWALLOW))
        connection.execute(INSERT)
    wait_until(lambda: applied(postgres) == 1)


def test_the_id_costs_no_flight(proxied: Database, proxy: Proxy) -> None:
    """Row 21: three statements and a COMMIT are four flights, with the id known before the last."""
    with proxied.transaction() as connection:
        connection.execute(text("select 1"))
        before = proxy.traffic()
        connection.execute(INSERT)
        connection.execute(insert(LostCommit).values(n=2))
        connection.execute(text("select 1"))
    assert (proxy.traffic() - before).flights == 4


def test_a_silent_commit_near_the_deadline_is_resolved(
    make_database: Callable[..., Database], postgres: PostgresServer, proxy: Proxy
) -> None:
    """Row 21: with less time left than a server may be silent, its outcome is asked for early enough to be known."""
    url = postgres.url(port=proxy.port)
    database = make_database(url, silence_s=5.0, reserve_s=0.5)
    with database.invocation(2000), database.transaction() as connection:
        connection.execute(INSERT)
        proxy.inject(Fault(Action.STOP, once_sent=COMMIT))
    assert applied(postgres) == 1
