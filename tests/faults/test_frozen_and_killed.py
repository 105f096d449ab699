"""Rows 15 and 16: environments that are frozen, thawed and killed, as real processes."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from db.clock import FrozenTimeClock
from local.postgres import PostgresServer
from tests.canary import VALUE
from tests.faults.clock import Clock
from tests.faults.environment import Environment, FailedInvocationError
from tests.faults.proxy import Action, Proxy
from tests.faults.server import backends, run, terminate, wait_until
from tests.noticing import Noticed

FREED_WITHIN_S = 2.0
"""What an environment held when it went away."""
SILENCE_S = 2.0
NAME = "frozen-and-killed"
ITS_SETTINGS = {"DB_APPLICATION_NAME": NAME, "DB_IDLE_IN_TRANSACTION_S": "1.5"}
ITS_OWN = f"application_name = '{NAME}'"


@pytest.fixture
def counter(postgres: PostgresServer) -> str:
    run(postgres, "create table if not exists counters (name text primary key, value bigint not null default 0)")
    run(postgres, f"insert into counters values ('{VALUE}') on conflict (name) do update set value = 0")  # noqa: S608 - our own
    return VALUE


@pytest.fixture
def environment(
    start_environment: Callable[..., Environment], postgres: PostgresServer, proxy: Proxy, counter: str
) -> Iterator[Environment]:
    """A warm environment behind the proxy."""
    url = postgres.url(port=proxy.port)
    environment = start_environment(DATABASE_URL=url, DB_SILENCE_S=str(SILENCE_S), **ITS_SETTINGS)
    environment.invoke("increment", name=counter)
    yield environment
    environment.kill()
    proxy.end()  # a half-open link holds its server process
    wait_until(lambda: not backends(postgres, ITS_OWN))


def holds_lock(postgres: PostgresServer) -> bool:
    return bool(backends(postgres, f"{ITS_OWN} and backend_xid is not null"))


# --- 15 ---


def test_a_thawed_environment_serves_as_before(environment: Environment, counter: str) -> None:
    """Row 15: a second of freezing is not noticed."""
    environment.freeze()
    environment.send("increment", name=counter)
    time.sleep(1)
    environment.thaw()
    assert environment.receive() == 2


@pytest.mark.parametrize("action", [Action.RESET, Action.CLOSE])
def test_a_connection_that_died_in_the_freeze_is_replaced(
    environment: Environment, proxy: Proxy, counter: str, action: Action
) -> None:
    """Row 15: the thawed environment sees it without a flight, and works on."""
    environment.freeze()
    proxy.end(action)
    bursts = proxy.links[0].traffic().bursts
    environment.thaw()
    assert environment.invoke("increment", name=counter) == 2
    assert proxy.links[0].traffic().bursts == bursts


def test_a_session_that_was_ended_in_the_freeze_is_replaced(
    environment: Environment, postgres: PostgresServer, counter: str
) -> None:
    """Row 15: 57P01 waits in the socket for the thaw."""
    environment.freeze()
    terminate(postgres, ITS_OWN)
    environment.thaw()
    assert environment.invoke("increment", name=counter) == 2


def test_a_way_that_was_forgotten_in_the_freeze_is_noticed_within_the_bound(
    environment: Environment, proxy: Proxy, counter: str, noticed: Noticed
) -> None:
    """Row 15: a gateway that dropped the connection in silence costs the bound, once."""
    environment.freeze()
    proxy.end(Action.SWALLOW)
    environment.thaw()
    with noticed.within(SILENCE_S, 15):
        assert environment.invoke("increment", name=counter) == 2


def test_an_invocation_frozen_in_its_transaction_is_told(
    environment: Environment, postgres: PostgresServer, counter: str, tmp_path: Path
) -> None:
    """Rows 5 and 15: its transaction has been ended meanwhile; nothing of it stays, and the next one works."""
    end = tmp_path / "end"
    environment.send("hold_until", name=counter, file=str(end), remaining_ms=60_000)
    wait_until(lambda: holds_lock(postgres))
    environment.freeze()
    wait_until(lambda: not holds_lock(postgres))
    environment.thaw()
    end.touch()
    with pytest.raises(FailedInvocationError, match="ConnectionLostError"):
        environment.receive()
    assert environment.invoke("increment", name=counter) == 2


@pytest.mark.parametrize(("monotonic_s", "wall_s"), [(0, 600), (600, 600), (600, -3600)])
def test_age_counts_frozen_time(monotonic_s: float, wall_s: float) -> None:
    """Row 15: ten minutes are ten minutes, whichever of the two clocks went on in the freeze."""
    monotonic, wall = Clock(), Clock()
    age = FrozenTimeClock(monotonic, wall)
    born = age()
    monotonic.advance(monotonic_s)
    wall.advance(wall_s)
    assert age() - born == 600


# --- 16 ---


def test_a_killed_environment_frees_what_it_held(
    environment: Environment, postgres: PostgresServer, counter: str, noticed: Noticed
) -> None:
    """Row 16: killed in a transaction, between two statements."""
    environment.send("hold", name=counter, seconds=60)
    wait_until(lambda: holds_lock(postgres))
    environment.kill()
    noticed(16, wait_until(lambda: not backends(postgres, ITS_OWN)), FREED_WITHIN_S)
    assert run(postgres, f"select value from counters where name = '{VALUE}'") == [(1,)]  # noqa: S608 - our own


def test_an_environment_killed_in_a_statement_frees_what_it_held(
    environment: Environment, postgres: PostgresServer, noticed: Noticed
) -> None:
    """Row 16: the server looks after its client while it works."""
    environment.send("sleep", seconds=60, remaining_ms=90_000)
    wait_until(lambda: backends(postgres, f"{ITS_OWN} and wait_event = 'PgSleep'"))
    environment.kill()
    noticed(16, wait_until(lambda: not backends(postgres, ITS_OWN)), FREED_WITHIN_S)


def test_an_environment_frozen_while_it_reads_frees_its_locks(
    start_environment: Callable[..., Environment],
    postgres: PostgresServer,
    counter: str,
    noticed: Noticed,
) -> None:
    """Row 16: the server waits to send rows, in a statement, where no time-out of its own would end it for minutes."""
    environment = start_environment(**ITS_SETTINGS)  # no proxy, which would read on
    environment.send("read_on", name=counter, remaining_ms=90_000)
    wait_until(lambda: backends(postgres, f"{ITS_OWN} and query like '%generate_series%'") and holds_lock(postgres))
    time.sleep(0.3)
    environment.freeze()
    noticed(16, wait_until(lambda: not holds_lock(postgres)), FREED_WITHIN_S)


def test_an_environment_frozen_for_good_frees_its_locks(
    environment: Environment,
    postgres: PostgresServer,
    start_environment: Callable[..., Environment],
    counter: str,
    noticed: Noticed,
) -> None:
    """Row 16: another environment gets the row that it had locked."""
    other = start_environment()
    other.invoke("backend")
    environment.send("hold", name=counter, seconds=60)
    wait_until(lambda: holds_lock(postgres))
    environment.freeze()
    with noticed.within(FREED_WITHIN_S, 16):
        other.invoke("increment", name=counter)
    wait_until(lambda: not backends(postgres, ITS_OWN))
