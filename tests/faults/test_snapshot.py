"""Row 18: one snapshot restored many times."""

import time
from collections.abc import Callable
from contextlib import ExitStack

from sqlalchemy import text

from db import Database
from db.environment.lifecycle import Lifecycle
from db.environment.process import LambdaProcess
from local.postgres import PostgresServer
from tests.faults.environment import Environment
from tests.faults.proxy import Proxy
from tests.noticing import Noticed
from tests.rotation.conftest import Application

CLONES = 5
CONNECT_S = 5.0
"""What a connect may take, by default."""


def test_clones_share_neither_connection_nor_chance(
    start_environment: Callable[..., Environment], noticed: Noticed
) -> None:
    """Row 18: after the hooks each clone of a warmed environment has a server process and random numbers of its own."""
    parent = start_environment()
    warm = parent.invoke("backend")
    parent.invoke("before_snapshot")
    with ExitStack() as stack:
        clones = [stack.enter_context(parent.clone()) for _ in range(CLONES)]
        drawn = {clone.invoke("after_restore") for clone in clones}
        with noticed.within(CONNECT_S, 18):
            backends = {clone.invoke("backend") for clone in clones}
        assert len(drawn) == CLONES
        assert len(backends - {warm}) == CLONES
        assert backends == {clone.invoke("backend") for clone in clones}


def test_clones_are_told_apart_on_the_server(start_environment: Callable[..., Environment]) -> None:
    """Row 18: a snapshot knows no log stream; each clone completes its name by itself, and keeps it."""
    parent = start_environment(DB_APPLICATION_NAME="records:7:")
    before = parent.invoke("name")
    parent.invoke("before_snapshot")
    with ExitStack() as stack:
        clones = [stack.enter_context(parent.clone()) for _ in range(CLONES)]
        names = {clone.invoke("name") for clone in clones}
        assert len(names - {before}) == CLONES
        assert {name.rpartition(":")[0] for name in names} == {"records:7"}
        assert names == {clone.invoke("name") for clone in clones}


def test_nothing_is_open_in_a_snapshot(start_environment: Callable[..., Environment], postgres: PostgresServer) -> None:
    """Row 18: the server has been told goodbye before the snapshot, so no clone finds a socket that others use."""
    with Proxy(postgres.port) as proxy:
        url = f"postgresql://postgres:{postgres.password}@127.0.0.1:{proxy.port}/postgres"
        parent = start_environment(DATABASE_URL=url)
        parent.invoke("backend")
        assert len(proxy.live()) == 1
        before = proxy.traffic()
        parent.invoke("before_snapshot")
        give_up_at = time.monotonic() + 5
        while proxy.live() and time.monotonic() < give_up_at:
            time.sleep(0.01)
        assert proxy.live() == []
        assert (proxy.traffic() - before).to_server == len(b"X\x00\x00\x00\x04")


def test_a_snapshot_knows_neither_keys_nor_the_fleet(
    make_database: Callable[..., Database], postgres: PostgresServer
) -> None:
    """Row 18: what was derived from a password is gone, and so is what was seen: it is no news after a restore."""
    database = make_database(postgres.url())
    for _ in range(2):
        with database.transaction() as connection:
            connection.execute(text("select 1"))
    habits, member = database._connector._habits, database._member
    assert habits.keys._keys
    assert habits.proven
    assert member._lookout.sample
    Lifecycle(database, LambdaProcess()).before_snapshot()
    assert not habits.keys._keys
    assert not habits.proven
    assert not member._lookout.sample


def test_clones_log_in_with_what_the_secret_says_when_they_are_restored(
    start_environment: Callable[..., Environment], application: Application, noticed: Noticed
) -> None:
    """Row 18: rotated after the snapshot: each clone asks once, as it is restored, and tries no password of before."""
    with Proxy(application.server.port) as proxy:
        parent = start_environment(DATABASE_URL="", DB_SECRET_ID=application.secret_id, DB_PORT=str(proxy.port))
        parent.invoke("backend")
        parent.invoke("before_snapshot")
        application.rotation().run()
        application.reads()
        for _ in range(2):
            with parent.clone() as clone:
                clone.invoke("after_restore")
                assert application.reads() == 1
                logins = proxy.accepted
                with noticed.within(CONNECT_S, 18):
                    clone.invoke("backend")
                assert (proxy.accepted - logins, application.reads()) == (1, 0)


def test_a_clone_connects_ahead_where_the_settings_say_so(
    start_environment: Callable[..., Environment], postgres: PostgresServer
) -> None:
    """The first invocation after a restore finds a warm connection."""
    with Proxy(postgres.port) as proxy:
        url = f"postgresql://postgres:{postgres.password}@127.0.0.1:{proxy.port}/postgres"
        parent = start_environment(DATABASE_URL=url, DB_AT_INIT="connection", DB_LEASE_S="60")
        parent.invoke("before_snapshot")
        with parent.clone() as clone:
            clone.invoke("after_restore")
            before = proxy.traffic()
            clone.invoke("backend")
            assert (proxy.traffic() - before).flights == 1
