"""Reaching a server: what is told of one that was tried until the time had gone."""

from collections.abc import Callable
from typing import NoReturn

import pytest

from db import DatabaseSettings, DeadlineExceededError, ReadOnlyError, Tls, UnreachableError
from db.deadline import Deadline
from db.errors import SlotwiseError
from db.protocol.server_errors import DisconnectedError, TookTooLongError
from db.recovery.abandoned import Abandoned
from db.recovery.lasting import LastingConnection
from db.recovery.reach import reach

SETTINGS = DatabaseSettings(url="postgresql://app@127.0.0.1/app", tls=Tls.INSECURE_LOCAL_ONLY, connect_timeout_s=5)


def unreachable(cause: Exception) -> UnreachableError:
    error = UnreachableError()
    error.__cause__ = cause
    return error


STARTING_UP = unreachable(DisconnectedError("starting", {"C": "57P03"}))
REFUSING = unreachable(DisconnectedError("refused"))
READ_ONLY = ReadOnlyError("a standby")
CUT_OFF = unreachable(TookTooLongError("the server did not answer before the deadline"))
NO_TIME_LEFT = DeadlineExceededError("no time left to connect")


class Server:
    """Ends one attempt after the other in an error; with the last of them goes `last_takes_s`."""

    def __init__(self, *errors: SlotwiseError, last_takes_s: float) -> None:
        self.errors, self.last_takes_s, self.now = list(errors), last_takes_s, 0.0

    def connect(self) -> NoReturn:
        error = self.errors.pop(0)
        self.now += 0 if self.errors else self.last_takes_s
        raise error


def told_of(server: Server) -> SlotwiseError:
    """Return what the attempts at a server end in, ten seconds being left."""
    connect: Callable[[], LastingConnection] = server.connect
    with pytest.raises(SlotwiseError) as caught:
        reach(connect, Deadline(10.0, lambda: server.now), SETTINGS, Abandoned())
    assert not server.errors
    return caught.value


@pytest.mark.parametrize("last", [CUT_OFF, NO_TIME_LEFT], ids=["cut off", "no time left"])
@pytest.mark.parametrize("earlier", [STARTING_UP, REFUSING, READ_ONLY], ids=["starting", "refusing", "read only"])
def test_an_attempt_that_only_came_too_late_hides_nothing(earlier: SlotwiseError, last: SlotwiseError) -> None:
    """Why there was no connection is told with its cause, and not that the time had gone in the end."""
    cause = earlier.__cause__
    told = told_of(Server(earlier, last, last_takes_s=10))
    assert told is earlier
    assert told.__cause__ is cause


@pytest.mark.parametrize("only", [CUT_OFF, NO_TIME_LEFT], ids=["cut off", "no time left"])
def test_who_has_only_come_too_late_is_told_that(only: SlotwiseError) -> None:
    """There is nothing else to tell."""
    assert told_of(Server(only, last_takes_s=10)) is only


def test_a_server_that_falls_silent_while_there_is_time_is_told_of_as_it_is() -> None:
    """A connect that took longer than it may is no shortage of time: what the server was before no longer matters."""
    assert told_of(Server(STARTING_UP, CUT_OFF, last_takes_s=6)) is CUT_OFF


def test_the_last_reason_is_told() -> None:
    """A server that refused and then began to start up starts up."""
    assert told_of(Server(REFUSING, STARTING_UP, NO_TIME_LEFT, last_takes_s=10)) is STARTING_UP
