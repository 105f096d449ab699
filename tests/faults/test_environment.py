"""The kit's environments are frozen, thawed, killed and cloned as Lambda's are."""

import time
from collections.abc import Callable

import pytest

from local.postgres import PostgresServer
from tests.canary import VALUE
from tests.faults.environment import Environment, FailedInvocationError
from tests.faults.server import run


@pytest.fixture
def counter(postgres: PostgresServer) -> str:
    run(postgres, "create table if not exists counters (name text primary key, value bigint not null default 0)")
    run(postgres, f"insert into counters values ('{VALUE}') on conflict (name) do update set value = 0")  # noqa: S608 - our own
    return VALUE


def test_an_environment_serves_one_invocation_after_another(
    start_environment: Callable[..., Environment], counter: str
) -> None:
    """State stays from one to the next: the same backend answers."""
    environment = start_environment()
    assert [environment.invoke("increment", name=counter) for _ in range(2)] == [1, 2]
    assert environment.invoke("backend") == environment.invoke("backend")


def test_a_failed_invocation_says_why(start_environment: Callable[..., Environment]) -> None:
    """The error's type comes back by name, and the environment goes on."""
    environment = start_environment()
    with pytest.raises(FailedInvocationError, match="ValueError"):
        environment.invoke("fail")
    assert environment.invoke("backend")


def test_a_frozen_environment_does_nothing_until_it_is_thawed(start_environment: Callable[..., Environment]) -> None:
    """It answers when it goes on, and not before."""
    environment = start_environment()
    environment.invoke("backend")
    environment.freeze()
    environment.send("backend")
    with pytest.raises(TimeoutError):
        environment.receive(timeout_s=0.3)


def test_a_thawed_environment_goes_on(start_environment: Callable[..., Environment]) -> None:
    """What was asked while it was frozen is answered after."""
    environment = start_environment()
    environment.freeze()
    environment.send("backend")
    time.sleep(0.2)
    environment.thaw()
    assert environment.receive()


def test_a_clone_is_a_process_of_its_own(start_environment: Callable[..., Environment], counter: str) -> None:
    """Both serve, and neither hears the other's answers."""
    environment = start_environment(DB_POOL_SIZE="0")
    with environment.clone() as clone:
        assert clone.pid != environment.pid
        assert clone.invoke("increment", name=counter) == 1
        assert environment.invoke("increment", name=counter) == 2
