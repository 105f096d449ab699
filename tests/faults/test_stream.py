"""What may pass and which fault strikes, as tables: no socket, no clock."""

import pytest

from tests.faults.stream import Action, Direction, Fault, Stream


def drain(stream: Stream, now: float) -> tuple[bytes, list[Action]]:
    """Pass on and strike until nothing more happens at `now`."""
    passed, struck = b"", []
    while (piece := stream.pass_on(now)) or (fault := stream.struck()):
        passed += piece
        if not piece and fault:
            struck.append(fault.action)
    return passed, struck


def stream_with(*faults: Fault, arrived: bytes = b"", at: float = 0.0) -> Stream:
    stream = Stream()
    stream.arm(faults)
    if arrived:
        stream.arrived(arrived, at)
    return stream


@pytest.mark.parametrize("after_bytes", range(7))
def test_a_fault_strikes_before_the_byte_after_its_last(after_bytes: int) -> None:
    """Exactly `after_bytes` bytes pass, and the fault strikes only when there is one more."""
    stream = stream_with(Fault(Action.STOP, after_bytes=after_bytes), arrived=b"abcdef")
    assert drain(stream, 0) == (b"abcdef"[:after_bytes], [Action.STOP] if after_bytes < 6 else [])


def test_after_bytes_counts_from_the_arming() -> None:
    """A fault that is armed later does not count what has passed."""
    stream = stream_with(arrived=b"abc")
    drain(stream, 0)
    stream.arm([Fault(Action.STOP, after_bytes=1)])
    stream.arrived(b"def", 0)
    assert drain(stream, 0) == (b"d", [Action.STOP])


def test_a_trickle_passes_one_byte_in_each_step() -> None:
    """From where it strikes, one byte passes every `seconds`."""
    stream = stream_with(Fault(Action.TRICKLE, after_bytes=1, seconds=2), arrived=b"abcd")
    assert [drain(stream, now)[0] for now in (0, 1, 2, 3, 4)] == [b"ab", b"", b"c", b"", b"d"]


def test_a_delay_holds_each_piece_for_its_own_time() -> None:
    """What arrived later passes later."""
    stream = stream_with(Fault(Action.DELAY, seconds=5))
    stream.arrived(b"a", 0)
    drain(stream, 0)
    stream.arrived(b"b", 2)
    assert [drain(stream, now)[0] for now in (4, 5, 6, 7)] == [b"", b"a", b"", b"b"]


def test_a_waiting_stream_says_when_it_wakes() -> None:
    """The loop sleeps exactly until something may pass, and for good where nothing will."""
    stream = stream_with(Fault(Action.DELAY, seconds=5), arrived=b"a")
    drain(stream, 0)
    assert stream.wakes_in_s(1) == 4
    drain(stream, 5)
    assert stream.wakes_in_s(5) is None


def test_directions_have_faults_of_their_own() -> None:
    """A fault says whose bytes it counts; the server's by default."""
    assert Fault(Action.RESET).direction is Direction.TO_CLIENT
