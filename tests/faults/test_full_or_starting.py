"""Rows 1, 2 and 7: a server that is full or starting is waited for, as long as there is time."""

from collections.abc import Callable
from pathlib import Path
from threading import Timer

import pytest

from db import Database, SaturatedError, UnreachableError
from db.fleet.policy import FIRST_PATIENCE
from db.protocol.server_errors import sqlstate_of
from local.postgres import PostgresServer
from tests.faults.asking import ask
from tests.faults.server import ORDINARY, Full, filled, ordinary_url, recovering
from tests.noticing import Noticed

BOUND_S = 2.0


@pytest.mark.parametrize("what", Full)
def test_a_slot_is_waited_for(
    make_database: Callable[..., Database], fault_server: PostgresServer, pool_size: int, what: Full
) -> None:
    """Row 7: whichever of its messages the server refuses with, a slot that gets free is taken."""
    with filled(fault_server, what) as free:
        database = make_database(fault_server.url(ORDINARY), pool_size=pool_size, slot_wait_s=10)
        freer = Timer(0.3, free)
        freer.start()
        assert ask(database) == 1
        freer.join()
        database.close()


@pytest.mark.parametrize("what", Full)
@pytest.mark.parametrize(
    ("slot_wait_s", "remaining_ms", "is_first"),
    [(BOUND_S / FIRST_PATIENCE, 10_000, True), (BOUND_S, 10_000, False), (10.0, 2_500, False)],
    ids=["first wait", "later wait", "deadline"],
)
def test_a_full_server_ends_in_a_typed_error(
    make_database: Callable[..., Database],
    fault_server: PostgresServer,
    what: Full,
    slot_wait_s: float,
    remaining_ms: int,
    *,
    is_first: bool,
    noticed: Noticed,
) -> None:
    """Row 7: when patience or the invocation ends, whichever comes first, so that 503 with Retry-After can follow."""
    database = make_database(ordinary_url(fault_server), slot_wait_s=slot_wait_s)
    if not is_first:
        ask(database)
        database.close()
    with (
        filled(fault_server, what),
        noticed.within(BOUND_S, 7),
        pytest.raises(SaturatedError) as caught,
        database.invocation(remaining_ms),
    ):
        ask(database)
    assert caught.value.retry_after_s >= 1


def test_a_server_that_comes_back_is_waited_for(
    make_database: Callable[..., Database], fault_server: PostgresServer, pool_size: int
) -> None:
    """Rows 1 and 2: connections are refused, then answered with 57P03, and then taken."""
    database = make_database(fault_server.url(), pool_size=pool_size)
    ask(database)
    fault_server.stop("immediate")
    starter = Timer(0.3, fault_server.start)
    starter.start()
    assert ask(database) == 1
    starter.join()


def test_a_server_that_does_not_come_back_is_given_up_by_the_deadline(
    make_database: Callable[..., Database], fault_server: PostgresServer, tmp_path: Path, noticed: Noticed
) -> None:
    """Row 2: 57P03 is waited for as long as the work may take, which is longer than a connect, and no longer."""
    with recovering(fault_server, tmp_path / "recovering") as server:
        database = make_database(server.url(), connect_timeout_s=1)
        with noticed.within(2.0, 2), pytest.raises(UnreachableError) as caught, database.invocation(2500):
            ask(database)
        database.close()
    assert sqlstate_of(caught.value.__cause__ or caught.value) == "57P03"
