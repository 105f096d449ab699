"""Turns the facts of db.observation into CloudWatch metrics, through Powertools. Knows nothing of requests.

Dimensions are bounded: service, function, and for failures one of the kinds of db.errors. A metric costs by the number
of its dimensions' values, so nothing that a client sends may ever be one.
"""

from contextlib import suppress
from typing import Final

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit, single_metric
from sqlalchemy.exc import SQLAlchemyError

from db import Borrow, Database, LeakedBorrow, Pin, Repeat, Slots, SlotwiseError, SlowStatement
from db.settings import Switch

NOT_THE_CONNECTIONS: Final = frozenset({"statement", "handler"})
"""Failures of a borrow that say nothing about the connection."""


MAX_TEXT: Final = 2000
"""Characters of a slow statement that are logged."""


class Telemetry:
    """The Observer of a function, flushed once an invocation by `Metrics.log_metrics`."""

    def __init__(self, metrics: Metrics, logger: Logger, function_name: str | None = None) -> None:
        """Begin; `function_name` is for what happens before the first invocation says its own."""
        self._metrics, self._logger = metrics, logger
        self._function_name = function_name or "none"
        self._is_cold = True
        self._route: str | None = None
        self._slow: dict[str, SlowStatement] = {}
        self._explained: set[str] = set()

    def invoked(self, function_name: str, route: str | None = None) -> None:
        """Note that an invocation begins; ColdStart is 1 for an environment's first and 0 for the others.

        So its sum counts cold starts, its average is their share, and no invocation is without a metric.
        """
        self._function_name, self._route = function_name, route
        self._slow.clear()
        self._metrics.add_dimension("function_name", function_name)
        self._count("ColdStart", self._is_cold)
        self._is_cold = False

    def borrowed(self, borrow: Borrow) -> None:
        """Note a borrow that has ended."""
        self._count("ConnectionsOpened", borrow.opened)
        self._count("ConnectionsReused", borrow.reused)
        self._time("BorrowWait", borrow.waited_ms)
        self._time("BorrowHeld", borrow.held_ms)
        if borrow.connect_ms is not None:
            self._time("ConnectTime", borrow.connect_ms)
        self._note_slots(borrow.slots)
        self._note_failure(borrow.failure)

    def _note_slots(self, slots: Slots) -> None:
        """Note what the borrow had to do with the slots that all environments share."""
        self._count("ConnectionsReleased", slots.released is not None)
        self._count("LeasesEnded", slots.lease_ended)
        if slots.refusals:
            self._metrics.add_metric("SlotsRefused", MetricUnit.Count, slots.refusals)
            self._time("SlotWait", slots.waited_ms)
        if slots.used is not None and slots.usable is not None:
            self._metrics.add_metric("SlotsUsed", MetricUnit.Count, slots.used)
            self._metrics.add_metric("SlotsUsable", MetricUnit.Count, slots.usable)

    def leaked(self, leaked: LeakedBorrow) -> None:
        """Note a borrow that the handler did not end, and say which line it was."""
        self._count("ConnectionsLeaked", happened=True)
        self._logger.warning(
            "connection not given back", extra={"borrowed_at": leaked.call_site, "held_ms": leaked.held_ms}
        )

    def repeated(self, repeat: Repeat) -> None:
        """Note work that is run again."""
        self._count("TransactionsRepeated", happened=True)
        self._time("RepeatWait", repeat.wait_ms)

    def slow(self, slow: SlowStatement) -> None:
        """Count a slow statement, and log it once in an invocation."""
        self._count("SlowStatements", happened=True)
        if slow.fingerprint in self._slow:
            return
        self._slow[slow.fingerprint] = slow
        self._logger.warning(
            "slow statement",
            extra={
                "fingerprint": slow.fingerprint,
                "duration_ms": round(slow.duration_ms, 3),
                "rows": slow.rows,
                "sqlstate": slow.failure,
                "route": self._route,
                "statement": slow.text[:MAX_TEXT],
            },
        )

    def pins(self, pin: Pin) -> None:
        """Count a statement that keeps a pooler from sharing, and name it; told once for each in an environment."""
        self._count("PinningStatements", happened=True)
        self._logger.warning(
            "statement that pins a pooler's session",
            extra={"fingerprint": pin.fingerprint, "reason": pin.reason, "statement": pin.text[:MAX_TEXT]},
        )

    def show_plans(self, database: Database) -> None:
        """Log the plans of the invocation's slow statements, where that is wanted: each once in an environment."""
        if database.settings.slow_statement_plans is not Switch.ON:
            return
        for fingerprint, slow in list(self._slow.items()):
            if fingerprint not in self._explained:
                self._explained.add(fingerprint)
                with suppress(SlotwiseError, SQLAlchemyError):
                    plan = database.plan_of(slow)
                    self._logger.warning("plan of a slow statement", extra={"fingerprint": fingerprint, "plan": plan})

    def flush(self) -> None:
        """Write what no invocation has written: at the end of the environment."""
        if self._metrics.metric_set:
            self._metrics.dimension_set["function_name"] = self._function_name
            self._metrics.flush_metrics()

    def _note_failure(self, kind: str | None) -> None:
        is_failure = kind is not None and kind not in NOT_THE_CONNECTIONS
        self._count("ConnectionFailures", is_failure)
        if is_failure:
            self._count_by_kind(str(kind))

    def _count_by_kind(self, kind: str) -> None:
        """Say the kind in a record of its own: a dimension belongs to all metrics of a record."""
        provider = self._metrics.provider
        with single_metric("ConnectionFailures", MetricUnit.Count, 1, namespace=provider.namespace) as metric:
            metric.add_dimension("service", str(provider.service))
            metric.add_dimension("function_name", self._function_name)
            metric.add_dimension("kind", kind)

    def _count(self, name: str, happened: bool) -> None:  # noqa: FBT001 - a count of what happened or did not
        self._metrics.add_metric(name, MetricUnit.Count, int(happened))

    def _time(self, name: str, milliseconds: float) -> None:
        self._metrics.add_metric(name, MetricUnit.Milliseconds, round(milliseconds, 3))
