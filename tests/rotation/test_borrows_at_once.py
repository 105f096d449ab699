"""A rotation under a process that has several borrows at once: none of them fails, and they share what is asked."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from db import Database, Deadline, Login, SecretCredentials
from tests.rotation.conftest import Application, who

BORROWS = 8


class Together(SecretCredentials):
    """Lets nobody ask for another version before the server has refused each of the borrows."""

    _refused = threading.Condition()
    _threads: set[int]

    def logins(self, deadline: Deadline) -> Iterator[Login]:
        for login in super().logins(deadline):
            yield login
            self._wait_for_all()

    def expect_a_refusal(self) -> None:
        self._threads = set()

    def _wait_for_all(self) -> None:
        with self._refused:
            self._threads.add(threading.get_ident())
            self._refused.notify_all()
            assert self._refused.wait_for(lambda: len(self._threads) == BORROWS, 20)


@pytest.fixture(params=[BORROWS, 0])
def database(request: pytest.FixtureRequest, application: Application) -> Database:
    """One environment that is warm, whose borrows need a connection each."""
    application.kind = Together
    made = application.environment(pool_size=request.param)
    assert who(made) == application.user
    application.reads()
    return made


def serve(database: Database) -> list[str]:
    """Serve so many requests at once, each on a new connection; return as whom."""
    assert isinstance(database._credentials, Together)
    database._credentials.expect_a_refusal()
    database.close()
    with ThreadPoolExecutor(BORROWS) as executor:
        return list(executor.map(who, [database] * BORROWS))


def test_a_rotation_fails_none_of_many_borrows_at_once(application: Application, database: Database) -> None:
    """Row 8: at each step, and by two calls for all of them where they are refused together."""
    reads = {}
    for step in application.rotation().steps():
        application.reads()  # the rotation's own
        assert serve(database) == [application.user] * BORROWS
        reads[step] = application.reads()
    assert reads == {"create": 0, "set": 2, "test": 0, "finish": 0}


def test_a_rotation_that_is_over_costs_many_borrows_at_once_one_call(
    application: Application, database: Database
) -> None:
    """Row 8: whoever asks first, asks for all."""
    application.rotation().run()
    application.reads()
    assert serve(database) == [application.user] * BORROWS
    assert application.reads() == 1
