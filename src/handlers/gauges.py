"""Turns the monitor's survey into CloudWatch metrics, through Powertools.

Every dimension is bounded: the states are PostgreSQL's, and of roles and applications only the largest are named.
"""

from typing import Final

from aws_lambda_powertools import Metrics
from aws_lambda_powertools.metrics import MetricUnit, single_metric

from monitor import Changes, Survey
from monitor.verdicts import largest

MOST_NAMES: Final = 8
"""How many roles, and applications, have a metric of their own."""


class Gauges:
    """What the server's state is said in."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def show(self, found: Survey, changes: Changes, *, ended: int) -> None:
        """Add what was found to the invocation's metrics."""
        self._count("ServerSlotsUsed", found.slots_used)
        self._count("ServerSlotsUsable", found.slots_usable)
        self._metrics.add_metric("OldestTransaction", MetricUnit.Seconds, round(found.oldest_transaction_s, 3))
        self._metrics.add_metric("LongestStatement", MetricUnit.Seconds, round(found.longest_statement_s, 3))
        self._count("BlockedSessions", found.blocked)
        self._count("TransactionIdAge", found.transaction_id_age)
        self._count("DeadRows", found.dead_rows)
        self._count("ServerSlowStatements", len(changes.slow))
        self._count("FullScans", sum(table.full_scans for table in changes.scanned))
        self._count("SessionsEnded", ended)
        self._connections(found)

    def _connections(self, found: Survey) -> None:
        """Say how many there are by each of three dimensions, each in a record of its own."""
        for dimension in ("role", "state", "application"):
            counts = ((getattr(count, dimension) or "none", count.connections) for count in found.connections)
            for name, number in largest(counts, MOST_NAMES).items():
                provider = self._metrics.provider
                with single_metric("Connections", MetricUnit.Count, number, namespace=provider.namespace) as metric:
                    metric.add_dimension("service", str(provider.service))
                    metric.add_dimension(dimension, name)

    def _count(self, name: str, number: int) -> None:
        self._metrics.add_metric(name, MetricUnit.Count, number)
