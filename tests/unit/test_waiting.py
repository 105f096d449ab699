"""Waiting for a slot: jittered, patient, and never longer than the invocation has."""

from collections.abc import Callable

import pytest

from db.deadline import Deadline
from db.errors import DeadlineExceededError, LoginRefusedError, SaturatedError, UnreachableError
from db.fleet.policy import FIRST_PATIENCE, LONGEST_PAUSE_S, PATIENCE_IS_BACK_AFTER_S
from db.fleet.waiting import RETRY_AFTER_S, Queue


class Server:
    """Refuses so many times; time goes on only where somebody sleeps."""

    def __init__(self, refuses: int) -> None:
        self.refuses, self.attempts, self.now = refuses, 0, 0.0
        self.waits: list[float] = []

    def attempt(self) -> str:
        self.attempts += 1
        if self.attempts <= self.refuses:
            raise SaturatedError("no slot")
        return "connection"

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def new_queue(server: Server, *, draw: Callable[[], float], longest_s: float = 4.0, deadline_s: float = 30.0) -> Queue:
    """Return the queue of an environment that has never had a slot."""
    deadline = Deadline(deadline_s, lambda: server.now)
    return Queue(longest_s, lambda: deadline, draw=draw, sleep=server.sleep, clock=lambda: server.now)


def queue(server: Server, *, draw: Callable[[], float], longest_s: float = 4.0, deadline_s: float = 30.0) -> Queue:
    """Return the queue of an environment that has had one."""
    waiting = new_queue(server, draw=draw, longest_s=longest_s, deadline_s=deadline_s)
    assert waiting.wait_for(lambda: "connection", server.waits.append)
    return waiting


def test_a_slot_that_becomes_free_is_had() -> None:
    """Two refusals are waited out; the caller sees none of them, the observer both."""
    server = Server(refuses=2)
    assert queue(server, draw=lambda: 0.5).wait_for(server.attempt, server.waits.append) == "connection"
    assert server.attempts == 3
    assert server.waits == [pytest.approx(0.6), pytest.approx(0.6)]


@pytest.mark.parametrize(("longest_s", "deadline_s", "bound_s"), [(4.0, 30.0, 4.0), (4.0, 1.0, 1.0)])
def test_waiting_ends_with_patience_or_deadline_whichever_is_first(
    longest_s: float, deadline_s: float, bound_s: float
) -> None:
    """Who gets no slot is told in time: a typed error, never a wait beyond what the invocation has."""
    server = Server(refuses=10_000)
    waiting = queue(server, draw=lambda: 0.5, longest_s=longest_s, deadline_s=deadline_s)
    with pytest.raises(SaturatedError):
        waiting.wait_for(server.attempt, server.waits.append)
    assert bound_s * 0.8 < server.now <= bound_s
    assert len(server.waits) == server.attempts < 30


def test_who_was_refused_and_has_no_time_left_for_another_attempt_is_told_of_the_slots() -> None:
    """503 with a Retry-After, whether the time ends in a wait or behind it; who was not refused ran out of time."""
    server = Server(refuses=1)

    def late() -> str:
        server.attempt()
        raise DeadlineExceededError("no time left to connect")

    waiting = queue(server, draw=lambda: 0.5)
    with pytest.raises(SaturatedError, match="no slot") as caught:
        waiting.wait_for(late, server.waits.append)
    assert caught.value.retry_after_s == 3
    server.now += LONGEST_PAUSE_S
    with pytest.raises(DeadlineExceededError):
        waiting.wait_for(late, server.waits.append)


@pytest.mark.parametrize(("took_s", "told"), [(30.0, SaturatedError), (1.0, UnreachableError)], ids=["late", "in time"])
def test_who_was_refused_and_is_cut_off_in_a_later_attempt_is_told_of_the_slots(
    took_s: float, told: type[Exception]
) -> None:
    """As where no attempt was begun; a server that goes away while there is time has a reason of its own."""
    server = Server(refuses=1)

    def cut_off() -> str:
        server.attempt()
        server.now += took_s
        raise UnreachableError("the server did not answer before the deadline")

    with pytest.raises(told):
        queue(server, draw=lambda: 0.5).wait_for(cut_off, server.waits.append)
    assert server.attempts == 2


def test_an_environments_first_slot_is_waited_for_longest_and_once() -> None:
    """Who comes with a new crowd waits for those who rest; in vain, he is as impatient as the others."""
    server = Server(refuses=10_000)
    waiting = new_queue(server, draw=lambda: 0.5, longest_s=1.0)
    with pytest.raises(SaturatedError):
        waiting.wait_for(server.attempt, server.waits.append)
    assert FIRST_PATIENCE * 0.8 < server.now <= FIRST_PATIENCE
    server.now += PATIENCE_IS_BACK_AFTER_S
    began = server.now
    with pytest.raises(SaturatedError):
        waiting.wait_for(server.attempt, server.waits.append)
    assert server.now - began <= 1.0


def test_what_was_waited_for_is_forgotten() -> None:
    """A clone of a snapshot neither pauses for what its original waited for in vain, nor is it less patient."""
    server = Server(refuses=10_000)
    waiting = new_queue(server, draw=lambda: 1.0, longest_s=1.0)
    with pytest.raises(SaturatedError):
        waiting.wait_for(server.attempt, server.waits.append)
    server.refuses = 0
    waiting.forget()
    assert waiting.wait_for(server.attempt, server.waits.append) == "connection"


def test_those_turned_away_come_back_at_different_times() -> None:
    """Each error carries its own Retry-After, drawn over the whole range."""

    def turned_away(draw: float) -> int:
        server = Server(refuses=10_000)
        with pytest.raises(SaturatedError) as caught:
            queue(server, draw=lambda: draw).wait_for(server.attempt, server.waits.append)
        return caught.value.retry_after_s

    assert {turned_away(draw) for draw in (0.1, 0.5, 0.999)} == {RETRY_AFTER_S[0], 3, RETRY_AFTER_S[1]}


def test_waiting_in_vain_once_is_enough_for_a_while() -> None:
    """Under overload clients are turned away after one attempt; with time, and nothing else, patience comes back."""
    server = Server(refuses=1_000_000)
    waiting = queue(server, draw=lambda: 0.5, deadline_s=1_000)

    def in_vain_s(after_s: float) -> float:
        server.now += after_s
        began = server.now
        with pytest.raises(SaturatedError):
            waiting.wait_for(server.attempt, server.waits.append)
        return server.now - began

    assert in_vain_s(after_s=0) > 3.5
    assert in_vain_s(after_s=0.3) < 0.2
    assert 1.5 < in_vain_s(after_s=4) < 2.1
    assert in_vain_s(after_s=PATIENCE_IS_BACK_AFTER_S) > 3.5


def test_after_a_wait_in_vain_clients_are_turned_away_without_an_attempt_for_a_moment() -> None:
    """Half a second at most: the server is not troubled, and a slot that becomes free is soon asked for again."""
    server = Server(refuses=1)
    waiting = queue(server, draw=lambda: 0.5, longest_s=0)
    for _ in range(20):
        with pytest.raises(SaturatedError) as caught:
            waiting.wait_for(server.attempt, server.waits.append)
        assert caught.value.retry_after_s == 3
    assert server.attempts == 1
    assert server.waits == [0.0]
    server.now += LONGEST_PAUSE_S / 2
    assert waiting.wait_for(server.attempt, server.waits.append) == "connection"
    assert waiting.wait_for(server.attempt, server.waits.append) == "connection"


def test_only_a_lack_of_slots_is_waited_for() -> None:
    """A refused login is not tried again here: that could lock a user out."""

    def refused_login() -> str:
        raise LoginRefusedError("no")

    server = Server(refuses=0)
    with pytest.raises(LoginRefusedError):
        queue(server, draw=lambda: 0.5).wait_for(refused_login, server.waits.append)
    assert server.waits == []
