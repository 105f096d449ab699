"""Opens a TCP connection: the name and each of its addresses within one deadline. Knows nothing of who answers."""

import socket
from contextlib import suppress
from typing import Any

from db.deadline import Deadline
from db.patience import in_time, timeout_s

_Candidate = tuple[Any, ...]
"""An answer of getaddrinfo: family, kind, protocol, canonical name, address."""


class NotResolvedError(TimeoutError):
    """The deadline passed before the system knew what the name means. An error about a secret shows this name only."""


def is_unanswered(error: BaseException) -> bool:
    """Say whether the system's resolver has no answer for the moment (EAI_AGAIN), which says nothing of the name."""
    return isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN


def connected(host: str, port: int, deadline: Deadline) -> socket.socket:
    """Try each of the name's addresses, each with its share of the time that is left; raise OSError."""
    candidates = _looked_up(host, port, deadline)
    for tried, candidate in enumerate(candidates, start=1):
        share_s = timeout_s(deadline) / (len(candidates) - tried + 1)
        try:
            return _opened(candidate, share_s)
        except OSError:
            if tried == len(candidates):
                raise
    raise OSError(f"{host} has no address")


def _opened(candidate: _Candidate, wait_s: float) -> socket.socket:
    """Connect; raise OSError, also where this machine has no such family of addresses."""
    family, kind, proto, _, place = candidate
    sock = socket.socket(family, kind, proto)
    try:
        sock.settimeout(wait_s)
        sock.connect(place)
    except BaseException:
        sock.close()
        raise
    return sock


def _looked_up(host: str, port: int, deadline: Deadline) -> list[_Candidate]:
    """Resolve the name, and wait for that no longer than anything else."""
    with suppress(OSError):
        return _resolve(host, port, socket.AI_NUMERICHOST)
    try:
        answer = in_time(lambda: _resolved(host, port), deadline, f"resolve {host}")
    except TimeoutError:
        raise NotResolvedError(f"{host} was not resolved before the deadline") from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def _resolved(host: str, port: int) -> list[_Candidate] | OSError:
    try:
        return _resolve(host, port)
    except OSError as error:
        return error


def _resolve(host: str, port: int, flags: int = 0) -> list[_Candidate]:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
