"""Metrics, as CloudWatch reads them out of the log: the embedded metric format.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from aws_lambda_powertools import Logger, Metrics

import db
from db import Borrow, LeakedBorrow, Repeat, Slots
from handlers.telemetry import Telemetry

FUNCTION = {"function_name": "slotwise-records", "service": "slotwise"}

Measured = dict[str, list[float]]


@pytest.fixture
def metrics() -> Iterator[Metrics]:
    """Powertools keeps a class's worth of metrics: begin and end with none."""
    metrics = Metrics(namespace="Slotwise", service="slotwise")
    metrics.clear_metrics()
    yield metrics
    metrics.clear_metrics()


def invoked(metrics: Metrics, telemetry: Telemetry, *borrows: Borrow) -> None:
    """Run one invocation that borrows like this."""

    @metrics.log_metrics
    def handler(_event: object, _context: object) -> None:
        telemetry.invoked("slotwise-records")
        for borrow in borrows:
            telemetry.borrowed(borrow)

    handler({}, None)


def read(out: str) -> list[tuple[dict[str, str], Measured, dict[str, str]]]:
    """Read EMF as CloudWatch does: dimensions, values and units of each record, and what must hold of all."""
    found = []
    for line in out.splitlines():
        record: dict[str, Any] = json.loads(line)
        (directive,) = record["_aws"]["CloudWatchMetrics"]
        assert directive["Namespace"] == "Slotwise"
        (dimensions,) = directive["Dimensions"]
        units = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
        values = {name: value if isinstance(value := record[name], list) else [value] for name in units}
        found.append(({name: record[name] for name in dimensions}, values, units))
    return found


def test_a_borrow_is_measured_with_function_and_service(metrics: Metrics, capsys: pytest.CaptureFixture[str]) -> None:
    """Opened, its times in milliseconds; one record for the invocation."""
    invoked(metrics, Telemetry(metrics, Logger(service="test")), Borrow(waited_ms=12.5, connect_ms=11.25, held_ms=3.0))
    ((dimensions, values, units),) = read(capsys.readouterr().out)
    assert dimensions == FUNCTION
    assert values == {
        "ColdStart": [1],
        "ConnectionsOpened": [1],
        "ConnectionsReused": [0],
        "ConnectionsReleased": [0],
        "LeasesEnded": [0],
        "ConnectionFailures": [0],
        "BorrowWait": [12.5],
        "BorrowHeld": [3],
        "ConnectTime": [11.25],
    }
    assert {name for name, unit in units.items() if unit == "Milliseconds"} == {
        "BorrowWait",
        "BorrowHeld",
        "ConnectTime",
    }
    assert set(units.values()) == {"Count", "Milliseconds"}


def test_a_warm_borrow_counts_as_reused(metrics: Metrics, capsys: pytest.CaptureFixture[str]) -> None:
    """And has no connect time; several borrows are several values."""
    warm = Borrow(waited_ms=0.1, held_ms=1)
    invoked(metrics, Telemetry(metrics, Logger(service="test")), warm, warm)
    ((_, values, _),) = read(capsys.readouterr().out)
    assert (values["ConnectionsOpened"], values["ConnectionsReused"]) == ([0, 0], [1, 1])
    assert "ConnectTime" not in values


def test_what_a_borrow_had_to_do_with_the_fleets_slots_is_measured(
    metrics: Metrics, capsys: pytest.CaptureFixture[str]
) -> None:
    """Slots used and usable as seen, waits for one, leases that ended, connections given back."""
    slots = Slots(used=31, usable=40, refusals=2, waited_ms=180.0, released="slots needed", lease_ended=True)
    invoked(metrics, Telemetry(metrics, Logger(service="test")), Borrow(waited_ms=200, held_ms=1, slots=slots))
    ((_, values, units),) = read(capsys.readouterr().out)
    seen = {"SlotsUsed": [31], "SlotsUsable": [40], "SlotsRefused": [2], "SlotWait": [180]}
    given_back = {"ConnectionsReleased": [1], "LeasesEnded": [1]}
    assert seen | given_back == {name: values[name] for name in seen | given_back}
    assert units["SlotWait"] == "Milliseconds"


def test_only_the_first_invocation_is_a_cold_start(metrics: Metrics, capsys: pytest.CaptureFixture[str]) -> None:
    """Each says which it is, also when nothing is borrowed."""
    telemetry = Telemetry(metrics, Logger(service="test"))
    for _ in range(3):
        invoked(metrics, telemetry)
    assert [values["ColdStart"] for _, values, _ in read(capsys.readouterr().out)] == [[1], [0], [0]]


def test_a_failure_is_counted_in_total_and_by_kind(metrics: Metrics, capsys: pytest.CaptureFixture[str]) -> None:
    """The total for alarms, the kind for whoever looks why; neither opened nor reused."""
    invoked(metrics, Telemetry(metrics, Logger(service="test")), Borrow(waited_ms=5000, failure="unreachable"))
    by_kind, total = read(capsys.readouterr().out)
    assert by_kind == (FUNCTION | {"kind": "unreachable"}, {"ConnectionFailures": [1]}, {"ConnectionFailures": "Count"})
    assert total[0] == FUNCTION
    assert total[1]["ConnectionFailures"] == [1]
    assert (total[1]["ConnectionsOpened"], total[1]["ConnectionsReused"]) == ([0], [0])


@pytest.mark.parametrize("failure", ["statement", "handler"])
def test_what_is_no_fault_of_the_connection_is_no_failure(
    metrics: Metrics, capsys: pytest.CaptureFixture[str], failure: str
) -> None:
    """A duplicate, or a handler's own error, rings no bell."""
    invoked(metrics, Telemetry(metrics, Logger(service="test")), Borrow(waited_ms=1, held_ms=1, failure=failure))
    ((_, values, _),) = read(capsys.readouterr().out)
    assert values["ConnectionFailures"] == [0]


def test_what_was_measured_is_written_also_when_the_handler_fails(
    metrics: Metrics, capsys: pytest.CaptureFixture[str]
) -> None:
    """Once, and nothing is left for the next invocation."""
    telemetry = Telemetry(metrics, Logger(service="test"))

    @metrics.log_metrics
    def handler(_event: object, _context: object) -> None:
        telemetry.invoked("slotwise-records")
        telemetry.borrowed(Borrow(waited_ms=1, held_ms=1))
        raise db.SaturatedError

    with pytest.raises(db.SaturatedError):
        handler({}, None)
    assert len(read(capsys.readouterr().out)) == 1
    assert metrics.metric_set == {}


def test_what_no_invocation_has_written_is_written_by_the_functions_name(
    metrics: Metrics, capsys: pytest.CaptureFixture[str]
) -> None:
    """At the end of an environment that has served nobody, too."""
    telemetry = Telemetry(metrics, Logger(service="test"), "slotwise-records")
    telemetry.repeated(Repeat(kind="conflict", wait_ms=1))
    telemetry.flush()
    ((dimensions, values, _),) = read(capsys.readouterr().out)
    assert dimensions == FUNCTION
    assert values["TransactionsRepeated"] == [1]


def test_a_borrow_outside_an_invocation_does_no_harm(metrics: Metrics) -> None:
    """An Observer must not raise."""
    Telemetry(metrics, Logger(service="test")).borrowed(Borrow(waited_ms=1, failure="saturated"))


def test_a_leak_is_counted_and_its_line_logged(metrics: Metrics, capsys: pytest.CaptureFixture[str]) -> None:
    """Row 19: whoever is called finds the line that borrowed."""
    telemetry = Telemetry(metrics, Logger(service="test-of-leaks"))

    @metrics.log_metrics
    def handler(_event: object, _context: object) -> None:
        telemetry.invoked("slotwise-records")
        telemetry.leaked(LeakedBorrow(call_site="handlers/own.py:12 handler", held_ms=3.4))

    handler({}, None)
    logged, measured = map(json.loads, capsys.readouterr().out.splitlines())
    assert (logged["level"], logged["borrowed_at"]) == ("WARNING", "handlers/own.py:12 handler")
    assert measured["ConnectionsLeaked"] == [1]


def test_a_repeat_is_counted_with_its_pause(metrics: Metrics, capsys: pytest.CaptureFixture[str]) -> None:
    """What clients do not notice, operators do."""
    telemetry = Telemetry(metrics, Logger(service="test"))

    @metrics.log_metrics
    def handler(_event: object, _context: object) -> None:
        telemetry.invoked("slotwise-records")
        for wait_ms in (0.0, 12.5):
            telemetry.repeated(Repeat(kind="connection_lost", wait_ms=wait_ms))

    handler({}, None)
    ((_, values, _),) = read(capsys.readouterr().out)
    assert (values["TransactionsRepeated"], values["RepeatWait"]) == ([1, 1], [0, 12.5])
