"""A rotation by the book, step by step, with eight warm environments at work. No request fails, at any step."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from db import Database, LoginRefusedError
from db.credentials.calls import CALLS_AT_ONCE
from tests.faults.proxy import Proxy
from tests.rotation.conftest import Application, who
from tests.rotation.rotation import set_password

ENVIRONMENTS = 8


def serve(application: Application) -> set[str]:
    """Let every environment serve a request at the same time; return as whom they were served."""
    with ThreadPoolExecutor(ENVIRONMENTS) as executor:
        return set(executor.map(who, application.environments))


def reconnect(application: Application) -> None:
    """Let every environment need a new connection."""
    for database in application.environments:
        database.close()


def warm(application: Application, **settings: int) -> None:
    """Start eight environments and let each serve a request."""
    for _ in range(ENVIRONMENTS):
        application.environment(**settings)
    assert serve(application) == {application.user}
    assert application.reads() == ENVIRONMENTS, "a cold start reads the secret once"


def rotate(application: Application, *, alternating: bool, leaves_pending: bool = True) -> Iterator[str]:
    """Take the steps; the rotation's own reads are not the environments'."""
    for step in application.rotation(alternating=alternating, leaves_pending=leaves_pending).steps():
        application.reads()
        yield step


@pytest.mark.parametrize("leaves_pending", [True, False])
def test_a_single_users_rotation_fails_no_connect(application: Application, *, leaves_pending: bool) -> None:
    """Row 8: with a connection for each request AWSPENDING bridges the window; two calls find it, and no third."""
    warm(application, pool_size=0)
    reads = {}
    for step in rotate(application, alternating=False, leaves_pending=leaves_pending):
        assert serve(application) == serve(application) == {application.user}
        reads[step] = application.reads()
    assert reads == {"create": 0, "set": 2 * ENVIRONMENTS, "test": 0, "finish": 0}


def test_a_single_users_rotation_that_is_over_costs_one_call(application: Application) -> None:
    """Environments that reconnect after the rotation find the new version as AWSCURRENT."""
    warm(application, pool_size=1)
    for _ in rotate(application, alternating=False):
        assert serve(application) == {application.user}
        assert application.reads() == 0, "warm connections are not touched by a rotation"
    reconnect(application)
    assert serve(application) == {application.user}
    assert application.reads() == ENVIRONMENTS
    reconnect(application)
    assert serve(application) == {application.user}
    assert application.reads() == 0


def test_a_version_that_is_refused_at_a_reconnect_is_tried_once(application: Application) -> None:
    """Row 8: also where its login ends in the first statement's flight; the next version follows at once."""
    with Proxy(application.server.port) as proxy:
        database = application.environment(pool_size=1, port=proxy.port)
        assert who(database) == application.user
        application.rotation().run()
        database.close()
        before = len(proxy.links)
        assert who(database) == application.user
        assert len(proxy.links) == before + 2


@pytest.mark.parametrize("size", [2, 0])
def test_a_version_that_is_refused_late_is_not_taken_for_one_that_was_let_in_since(
    application: Application, size: int
) -> None:
    """Row 8: two borrows at once, whose first statements come in the other order: the second finds the new version."""
    database = application.environment(pool_size=size)
    assert who(database) == application.user
    application.rotation().run()
    database.close()
    with ThreadPoolExecutor(1) as another:
        for _ in range(2):
            with database.transaction() as connection:
                assert another.submit(who, database).result() == application.user
                assert connection.exec_driver_sql("select current_user").scalar_one() == application.user


@pytest.mark.parametrize("size", [0, 1])
def test_a_rotation_of_alternating_users_fails_no_request(application: Application, size: int) -> None:
    """The old user serves until the secret is looked at again; then the new one does, for one call."""
    warm(application, pool_size=size)
    users = [application.user, f"{application.user}_clone"]
    for old, new in ((users[0], users[1]), (users[1], users[0]), (users[0], users[1])):
        for _ in rotate(application, alternating=True):
            assert serve(application) == {old}
            assert application.reads() == 0
        application.clock.advance(3600)
        assert serve(application) | serve(application) <= {old, new}
        assert serve(application) == {new}
        assert application.reads() == ENVIRONMENTS


def test_two_rotations_of_alternating_users_before_anybody_looked(application: Application) -> None:
    """The second one changes the password that is in use: one refused login, one call, and on as the other user."""
    warm(application, pool_size=0)
    application.rotation(alternating=True).run()
    application.reads()
    reads = {}
    for step in rotate(application, alternating=True):
        serve(application)
        reads[step] = application.reads()
    assert reads == {"create": 0, "set": ENVIRONMENTS, "test": 0, "finish": 0}
    assert serve(application) == {f"{application.user}_clone"}


@pytest.mark.parametrize("alternating", [False, True])
def test_rotations_under_load_fail_no_request(application: Application, *, alternating: bool) -> None:
    """Requests go on while the steps are taken, whatever comes between a fetch and a login."""
    for number in range(ENVIRONMENTS):
        application.environment(pool_size=number % 2)
    served: list[str] = []
    with working(application.environments, served):
        for _ in range(3):
            application.rotation(alternating=alternating).run()
            application.clock.advance(61)
    assert len(served) >= ENVIRONMENTS
    assert set(served) <= {application.user, f"{application.user}_clone"}


@contextmanager
def working(databases: list[Database], served: list[str]) -> Iterator[None]:
    """Let each database serve requests until the end of the block; raise the first failure."""
    over = threading.Event()

    def work(database: Database) -> None:
        while not over.wait(0.01):
            served.append(who(database))

    with ThreadPoolExecutor(len(databases)) as executor:
        jobs = [executor.submit(work, database) for database in databases]
        try:
            yield
        finally:
            over.set()
    for job in jobs:
        job.result()


def test_a_connection_ends_at_its_next_return_and_not_in_the_middle_of_work(application: Application) -> None:
    """What is borrowed while the version changes is finished as it began; the next borrow is the new user's."""
    database = application.environment(pool_size=1)
    who(database)
    application.rotation(alternating=True).run()
    with database.transaction() as connection:
        first = connection.exec_driver_sql("select pg_backend_pid()").scalar_one()
        application.clock.advance(3600)
        assert connection.exec_driver_sql("select pg_backend_pid()").scalar_one() == first
    assert who(database) == f"{application.user}_clone"


def test_a_replica_that_lags_is_served_with_the_previous_version(application: Application) -> None:
    """The secret has moved and the server has not: AWSPREVIOUS serves, and AWSCURRENT as soon as it is right."""
    database = application.environment(pool_size=0)
    rotation = application.rotation()
    rotation.create()
    rotation.finish()  # on the primary all four steps were taken; here the new password has not arrived
    assert who(database) == application.user
    rotation.set_current()
    assert who(database) == application.user


def test_the_calls_of_a_process_are_bounded_whatever_a_rotation_does(application: Application) -> None:
    """A rotation that leaves every version wrong costs a few calls."""
    database = application.environment(pool_size=0)
    who(database)
    application.reads()
    set_password(application.admin, application.user, "nobody-knows-it")
    for _ in range(50):
        with pytest.raises(LoginRefusedError):
            who(database)
    assert application.reads() <= CALLS_AT_ONCE
