"""A minute and a half in the life of the local stack: calm, a crowd, strangers who take the slots, a lock left behind.

What the functions log is measured as CloudWatch would. Of API and runtime, which AWS measures itself, the same is
counted here. Draws nothing.
"""

import json
import random
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection
from urllib.parse import urlsplit

import psycopg

from db.fleet.sample import UNKNOWN
from local.application import APPLICATIONS_SECRET
from local.environment import Invocation
from local.metrics import Point, points_in
from local.stack import Stack, running

LASTS_S = 90
CALM, CROWD = 3, 12
"""Clients at once."""
PAUSE_S = 0.15
"""Between two requests of a client, on average."""
LEFT_TO_THE_FLEET = 2
"""Slots that the strangers do not take at first."""
RECORDS = "slotwise-records"
LEFT_BEHIND = f"{RECORDS}:7:0123456789ab"
"""The name of an environment that is no more."""
LONGEST_FUNCTION_S = 10


@dataclass(frozen=True, slots=True)
class Phase:
    """What happens from when to when; seconds from the start."""

    title: str
    begins: float
    ends: float


CROWDED = Phase("a crowd", 15, 55)
TAKEN = Phase("others\ntake slots", 28, 46)
ALL_TAKEN = Phase("all", 40, 46)
LEFT = Phase("a lock is\nleft behind", 65, 80)
PHASES = (CROWDED, TAKEN, ALL_TAKEN, LEFT)


@dataclass
class Run:
    """One run: what was measured."""

    began_at: float = field(default_factory=time.time)
    points: list[Point] = field(default_factory=list)

    def note(self, namespace: str, name: str, dimensions: Mapping[str, str], value: float) -> None:
        """Note a value of now."""
        self.points.append(Point(time.time(), namespace, name, dimensions, value))

    def invoked(self, name: str, invocation: Invocation) -> None:
        """Note what a function has logged, and what Lambda measures of it."""
        self.points += points_in(invocation.log)
        self.note("AWS/Lambda", "Errors", {"FunctionName": name}, int(invocation.failure is not None))
        self.note("AWS/Lambda", "Duration", {"FunctionName": name}, invocation.duration_ms)

    def answered(self, status: int, milliseconds: float, *, by_a_function: bool) -> None:
        """Note what API Gateway measures of a request; what no function has answered had no environment."""
        api = {"ApiId": "Api"}
        self.note("AWS/ApiGateway", "Count", api, 1)
        self.note("AWS/ApiGateway", "4xx", api, int(status // 100 == 4))  # noqa: PLR2004 - HTTP's
        self.note("AWS/ApiGateway", "5xx", api, int(status // 100 == 5))  # noqa: PLR2004 - HTTP's
        self.note("AWS/ApiGateway", "Latency", api, milliseconds)
        throttled = status == HTTPStatus.SERVICE_UNAVAILABLE and not by_a_function
        self.note("AWS/Lambda", "Throttles", {"FunctionName": RECORDS}, int(throttled))

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return time.time() - self.began_at

    def is_in(self, phase: Phase) -> bool:
        """Say whether it is on now."""
        return phase.begins <= self.now < phase.ends


def measured() -> Run:
    """Start the stack, let everything happen, and return what was measured."""
    run = Run()
    with running(on_invocation=run.invoked) as stack:
        run.points.clear()
        run.began_at = time.time()
        tasks = [lambda: _look(run, stack), lambda: _take_slots(run, stack), lambda: _leave_a_lock(run, stack)]
        tasks += [lambda number=number: _call(run, stack, number) for number in range(CROWD)]  # type: ignore[misc]
        threads = [threading.Thread(target=task) for task in tasks]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return run


def _call(run: Run, stack: Stack, number: int) -> None:
    """Be a client: write now and then, read otherwise."""
    chance = random.Random(number)  # noqa: S311 - a load, no secret
    while run.now < LASTS_S:
        if number < CALM or run.is_in(CROWDED):
            _request(run, stack, *_wish(chance))
        time.sleep(chance.uniform(0, 2 * PAUSE_S))


def _wish(chance: random.Random) -> tuple[str, str, object]:
    if chance.random() < 0.2:  # noqa: PLR2004 - a fifth of the requests
        return "POST", "/records", {"name": f"kettle {chance.random()}", "payload": {}}
    return "GET", "/records?limit=20", None


def _request(run: Run, stack: Stack, method: str, path: str, body: object) -> dict[str, str]:
    """Send a request, note what became of it, and return the answer's headers."""
    connection = HTTPConnection(urlsplit(stack.url).netloc, timeout=60)
    began = time.perf_counter()
    try:
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, {"Content-Type": "application/json", "If-Match": '"1"'})
        response = connection.getresponse()
        response.read()
    finally:
        connection.close()
    by_a_function = "apigw-requestid" in response.headers
    run.answered(response.status, 1000 * (time.perf_counter() - began), by_a_function=by_a_function)
    return dict(response.headers)


def _look(run: Run, stack: Stack) -> None:
    """Be the schedule, which here comes each second, and note how many environments are at work."""
    watch = {"functions": [RECORDS], "role": "slotwise", "longest_function_s": LONGEST_FUNCTION_S}
    while run.now < LASTS_S:
        stack.function_of("monitor").invoke(watch)
        busy = stack.function_of("records").busy
        run.note("AWS/Lambda", "ConcurrentExecutions", {"FunctionName": RECORDS}, busy)
        time.sleep(max(0.0, 1 - run.now % 1))


def _take_slots(run: Run, stack: Stack) -> None:
    """Be other applications: take what slots there are, also those that are given back, at first but a few."""
    with psycopg.connect(stack.server.url(), autocommit=True) as admin, ExitStack() as sessions:
        admin.execute("create role stranger login password 'stranger'")
        (usable,) = admin.execute(f"select {UNKNOWN.server_slots}").fetchone() or (0,)
        _sleep_until(run, TAKEN.begins)
        taken = 0
        while run.is_in(TAKEN):
            most = usable if run.is_in(ALL_TAKEN) else usable - LEFT_TO_THE_FLEET
            if taken < most and (session := _session_or_none(stack, "stranger")):
                sessions.callback(session.close)
                taken += 1
            else:
                time.sleep(0.05)


def _session_or_none(stack: Stack, role: str) -> psycopg.Connection | None:
    try:
        return psycopg.connect(stack.server.url(role, role, "slotwise"), application_name="reports", autocommit=True)
    except psycopg.OperationalError:
        return None


def _leave_a_lock(run: Run, stack: Stack) -> None:
    """Be an environment that dies in a transaction, and a client who wants the record that it has locked."""
    made = _request(run, stack, "POST", "/records", {"name": "teapot", "payload": {}})
    _sleep_until(run, LEFT.begins)
    login = json.loads(stack.application.logins()[APPLICATIONS_SECRET])
    url = stack.server.url(login["username"], login["password"], login["dbname"])
    with psycopg.connect(url, application_name=LEFT_BEHIND) as session:
        session.execute("select id from records where name = 'teapot' for update")
        _sleep_until(run, LEFT.begins + LONGEST_FUNCTION_S / 2)
        _request(run, stack, "PUT", f"/{made['Location']}", {"name": "teapot", "payload": {"by": "who waited"}})
        session.close()


def _sleep_until(run: Run, at_s: float) -> None:
    time.sleep(max(0.0, at_s - run.now))
