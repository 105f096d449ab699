"""What a survey means: what has happened since the last one, what is worth a warning. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from monitor.survey import Statement, Survey, Table
from monitor.watch import Watch


@dataclass(frozen=True, slots=True)
class Changes:
    """What has happened since the last survey."""

    slow: tuple[Statement, ...] = ()
    """Statements that were slow on average, with their calls and time since then, the costliest first."""
    scanned: tuple[Table, ...] = ()
    """Big tables that were read as a whole, with how often since then."""


def changes_since(before: Survey | None, found: Survey, watch: Watch) -> Changes:
    """Return what has happened since `before`; nothing where that is not known, or the statistics were reset."""
    if before is None:
        return Changes()
    slow = sorted(_slow(before, found, watch), key=lambda statement: -statement.total_ms)
    return Changes(tuple(slow), tuple(_scanned(before, found, watch)))


def _slow(before: Survey, found: Survey, watch: Watch) -> Iterator[Statement]:
    if before.statements is None:
        return
    known = {statement.id: statement for statement in before.statements}
    for statement in found.statements or ():
        since = _since(known.get(statement.id), statement)
        if since.calls > 0 and since.total_ms / since.calls >= watch.slow_statement_ms:
            yield since


def _since(before: Statement | None, now: Statement) -> Statement:
    """Return the calls between; of one that was not among the slow ones before, all that there ever were."""
    if before is None:
        return now
    return now.model_copy(update={"calls": now.calls - before.calls, "total_ms": now.total_ms - before.total_ms})


def _scanned(before: Survey, found: Survey, watch: Watch) -> Iterator[Table]:
    known = {table.name: table.full_scans for table in before.big_tables}
    for table in found.big_tables:
        scans = table.full_scans - known.get(table.name, table.full_scans)
        if scans > 0 and table.live >= watch.big_table_rows:
            yield table.model_copy(update={"full_scans": scans})


def warnings(found: Survey, changes: Changes, watch: Watch) -> list[str]:
    """Return what is wrong, each with the number and its limit."""
    return [*_of_sessions(found, watch), *_of_tables(found, watch), *_of_changes(changes)]


def _of_sessions(found: Survey, watch: Watch) -> Iterator[str]:
    if found.slots_used > watch.slots_share * found.slots_usable:
        yield f"{found.slots_used} of {found.slots_usable} slots are taken"
    if found.oldest_transaction_s > watch.longest_function_s:
        yield f"a transaction is {found.oldest_transaction_s:.0f} s old, longer than any function runs"
    if found.longest_statement_s > watch.longest_statement_s:
        yield f"a statement runs for {found.longest_statement_s:.0f} s now, over {watch.longest_statement_s:g} s"
    if stay := [session for session in found.left_behind if not session.ended]:
        yield f"{len(stay)} sessions of dead environments stay: grant pg_signal_backend to {found.role}"
    if found.blocked:
        yield f"{found.blocked} sessions wait for locks"


def _of_tables(found: Survey, watch: Watch) -> Iterator[str]:
    if found.transaction_id_age > watch.transaction_id_age:
        yield f"the oldest rows are {found.transaction_id_age} transactions old: VACUUM must freeze them before 2^31"
    for table in found.big_tables:
        if table.dead > watch.dead_share * (table.live + table.dead):
            yield f"{table.dead} of {table.live + table.dead} rows of {table.name} are dead: autovacuum falls behind"


def _of_changes(changes: Changes) -> Iterator[str]:
    for statement in changes.slow:
        mean_ms = statement.total_ms / statement.calls
        yield f"statement {statement.fingerprint} took {mean_ms:.0f} ms on average in {statement.calls} calls"
    for table in changes.scanned:
        yield f"{table.name}, {table.live} rows, was read as a whole {table.full_scans} times"


def largest(counts: Iterable[tuple[str, int]], most: int) -> dict[str, int]:
    """Return the sums by name, all names behind the `most` largest as `other`: a metric's values must be few."""
    sums: dict[str, int] = {}
    for name, number in counts:
        sums[name] = sums.get(name, 0) + number
    ranked = sorted(sums.items(), key=lambda each: (-each[1], each[0]))
    rest = sum(number for _, number in ranked[most:])
    return dict(ranked[:most]) | ({"other": rest} if rest else {})
